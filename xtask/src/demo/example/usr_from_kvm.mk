# The kvm flavor: a virtual machine runs the pod. Same image, manifests of its
# own; most of them are links to those of the coreos flavor.

UFC_FLAVOR := kvm
include $(STAGE1_DIR)/usr_from_coreos/build-usr.mk
