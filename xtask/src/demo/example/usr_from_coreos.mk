# The coreos flavor: systemd-nspawn runs the pod.

UFC_FLAVOR := coreos
include $(STAGE1_DIR)/usr_from_coreos/build-usr.mk
