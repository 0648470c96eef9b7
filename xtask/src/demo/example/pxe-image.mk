# The image: verified by the tool, then unpacked to usr.squashfs and a list of its
# files. All flavors of a board share them.

include $(STAGE1_DIR)/usr_from_coreos/coreos-common.mk

CCN_TMP := $(BUILDDIR)/tmp/coreos-common
CCN_IMAGE := $(CCN_TMP)/image.cpio.gz
CCN_SQUASHFS := $(CCN_TMP)/usr.squashfs
CCN_LIST := $(CCN_TMP)/usr.list
CCN_KEY := $(CCN_TMP)/image.key
CCN_LOCAL_IMAGE := $(RKT_LOCAL_COREOS_PXE_IMAGE_PATH)
blank := $(subst ,, )
# Recipes get these from the environment: a value may contain any character.
export CCN_LOCAL_IMAGE CCN_IMG_URL XTASK_FETCH_FLAGS

# Writes standard input to file $(1). The file keeps its time if nothing changed:
# targets that depend on it are made again only for new content.
write_if_changed = mkdir -p $(dir $(1)); cat > $(1).new; \
	if cmp -s $(1).new $(1); then rm $(1).new; else mv $(1).new $(1); fi

.PHONY: FORCE
FORCE:

# The values that select the image. Make does not detect a changed value itself.
$(CCN_KEY): FORCE
	@printf '%s\n' "board $(RKT_STAGE1_COREOS_BOARD)" "url $$CCN_IMG_URL" "local $$CCN_LOCAL_IMAGE" \
		"options $$XTASK_FETCH_FLAGS" | { $(call write_if_changed,$@); }

# Only a verified image is unpacked: the tool verifies the bytes while it copies them here, or fails.
$(CCN_SQUASHFS): $(CCN_KEY) $(subst $(blank),\$(blank),$(CCN_LOCAL_IMAGE))
	@mkdir -p $(@D)
	@command -v unsquashfs > /dev/null || { echo 'unsquashfs is not installed (squashfs-tools)' >&2; exit 2; }
	@command -v cpio > /dev/null || { echo 'GNU cpio is not installed (cpio)' >&2; exit 2; }
	@echo "  IMAGE     $(RKT_STAGE1_COREOS_BOARD) $${CCN_LOCAL_IMAGE:-$(CCN_IMG_RELEASE)}"
	@image=$$(realpath -m $(CCN_IMAGE)) && (cd $(STAGE1_DIR)/.. && \
	$(XTASK) fetch --board $(RKT_STAGE1_COREOS_BOARD) --output "$$image" \
		$(if $(CCN_LOCAL_IMAGE),--image "$$CCN_LOCAL_IMAGE") $(XTASK_FETCH_FLAGS) > /dev/null) && \
	gzip -dc "$$image" | { cpio --quiet -i --to-stdout usr.squashfs ./usr.squashfs; cat > /dev/null; } > $@.new
	@rm -f $(CCN_IMAGE)
	@[ -s $@.new ] || { echo "the image of $(RKT_STAGE1_COREOS_BOARD) has no usr.squashfs" >&2; exit 2; }
	@mv $@.new $@

# Paths below /usr, directories included, in byte order.
$(CCN_LIST): $(CCN_SQUASHFS)
	@unsquashfs -ls -d '' $< | sed -n 's,^/,,p' | sort > $@.new
	@mv $@.new $@
