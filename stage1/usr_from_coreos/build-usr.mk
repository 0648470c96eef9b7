# The root filesystem of one flavor: exactly the listed files of its manifests, as
# they are in the image; a listed directory includes everything below it (unsquashfs -ef). Included
# once per flavor, with UFC_FLAVOR set.
#
# Recipes run after the last flavor was included: they use $(1), the flavor, and
# never read UFC_FLAVOR.

define UFC_RULES

UFC_$(1)_MANIFESTS := $$(STAGE1_DIR)/usr_from_$(1)/manifest-$$(RKT_STAGE1_COREOS_BOARD).d
UFC_$(1)_TMP := $$(BUILDDIR)/tmp/usr_from_$(1)
UFC_$(1)_LIST := $$(UFC_$(1)_TMP)/manifest.txt
UFC_$(1)_SYSTEMD := $$(UFC_$(1)_TMP)/systemd-version
UFC_$(1)_ROOTFS := $$(BUILDDIR)/aci-for-$(1)-flavor/rootfs
UFC_$(1)_STAMP := $$(UFC_$(1)_TMP)/rootfs.stamp

# A board may have no manifests for a flavor.
ifneq ($$(wildcard $$(UFC_$(1)_MANIFESTS)/*),)
all: $$(UFC_$(1)_STAMP)
endif

# The union of the manifests, as in rkt's build: every line is a path. It is made
# in each run, so that a removed manifest is noticed, and its time changes only
# when the union does. The shell lists the files, whose names may have any character.
# verify-manifests --fix fixes CRLF, comments and blank lines.
$$(UFC_$(1)_LIST): FORCE
	@cat $$(UFC_$(1)_MANIFESTS)/* | sort -u | { $$(call write_if_changed,$$@); }

$$(UFC_$(1)_SYSTEMD): FORCE
	@echo '$$(CCN_SYSTEMD_VERSION)' | { $$(call write_if_changed,$$@); }

# Missing paths are printed with one write: flavors are built in parallel.
$$(UFC_$(1)_STAMP): $$(UFC_$(1)_LIST) $$(UFC_$(1)_SYSTEMD) $$(CCN_SQUASHFS) $$(CCN_LIST)
	@missing=$$$$(comm -23 $$(UFC_$(1)_LIST) $$(CCN_LIST)); \
	if [ -n "$$$$missing" ]; then \
		report=$$$$(echo 'flavor $(1), board $$(RKT_STAGE1_COREOS_BOARD): listed in a manifest, but not in the image of $$(CCN_IMG_RELEASE):'; \
		sed 's/^/  /' <<< "$$$$missing"; \
		echo 'hint: cargo xtask verify-manifests --fix --drop-missing'); \
		cat <<< "$$$$report" >&2; exit 1; fi
	@echo '  ROOTFS    $$(RKT_STAGE1_COREOS_BOARD) $(1)'
	@rm -rf $$(UFC_$(1)_ROOTFS) $$(UFC_$(1)_ROOTFS).new
	@mkdir -p $$(UFC_$(1)_ROOTFS).new
	@unsquashfs -no-progress -quiet -no-wildcards $$(UFC_XATTRS) -d $$(UFC_$(1)_ROOTFS).new/usr \
		-ef $$(UFC_$(1)_LIST) $$(CCN_SQUASHFS) > $$(UFC_$(1)_TMP)/unsquashfs.log 2>&1 || \
		{ cat $$(UFC_$(1)_TMP)/unsquashfs.log >&2; exit 1; }
	@for name in lib lib64 bin; do ln -s usr/$$$$name $$(UFC_$(1)_ROOTFS).new/$$$$name; done
	@ln -s $(1) $$(UFC_$(1)_ROOTFS).new/flavor
	@cp $$(UFC_$(1)_SYSTEMD) $$(UFC_$(1)_ROOTFS).new/systemd-version
	@mv $$(UFC_$(1)_ROOTFS).new $$(UFC_$(1)_ROOTFS)
	@touch $$@

endef

# Only root may set attributes outside of user.*.
UFC_XATTRS := $(if $(filter 0,$(shell id -u)),,-user-xattrs)

$(eval $(call UFC_RULES,$(UFC_FLAVOR)))
