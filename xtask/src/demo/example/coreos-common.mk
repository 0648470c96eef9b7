# The image that every flavor of stage1 is cut out of. `cargo xtask bump-coreos`
# edits the values below and nothing else; scripts outside read them by their
# name, so each keeps its one line and its " := ".

# The major version of systemd in that image: parts of stage1 depend on it.
CCN_SYSTEMD_VERSION := v225
# The release, a directory on the release server.
CCN_IMG_RELEASE := 991.0.0
# The PXE image of that release; its detached signature is next to it, as .sig.
CCN_IMG_URL := https://alpha.release.core-os.net/$(RKT_STAGE1_COREOS_BOARD)/$(CCN_IMG_RELEASE)/coreos_production_pxe_image.cpio.gz

# An image from this machine comes with a systemd of its own.
ifneq ($(RKT_LOCAL_COREOS_PXE_IMAGE_SYSTEMD_VER),)

CCN_SYSTEMD_VERSION := $(RKT_LOCAL_COREOS_PXE_IMAGE_SYSTEMD_VER)

endif
