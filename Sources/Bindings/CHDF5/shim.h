#include <hdf5.h>

// HDF5's constants are macros that call H5open() or cast; Swift imports neither.
#define PANDO_H5_ID(name) \
    static inline hid_t pando_##name(void) { return name; }
PANDO_H5_ID(H5T_STD_I8LE)
PANDO_H5_ID(H5T_STD_I16LE)
PANDO_H5_ID(H5T_STD_I32LE)
PANDO_H5_ID(H5T_STD_I64LE)
PANDO_H5_ID(H5T_STD_U8LE)
PANDO_H5_ID(H5T_STD_U16LE)
PANDO_H5_ID(H5T_STD_U32LE)
PANDO_H5_ID(H5T_STD_U64LE)
PANDO_H5_ID(H5T_IEEE_F32LE)
PANDO_H5_ID(H5T_IEEE_F64LE)
PANDO_H5_ID(H5T_STD_I8BE)
PANDO_H5_ID(H5T_STD_I16BE)
PANDO_H5_ID(H5T_STD_I32BE)
PANDO_H5_ID(H5T_STD_I64BE)
PANDO_H5_ID(H5T_STD_U8BE)
PANDO_H5_ID(H5T_STD_U16BE)
PANDO_H5_ID(H5T_STD_U32BE)
PANDO_H5_ID(H5T_STD_U64BE)
PANDO_H5_ID(H5T_IEEE_F32BE)
PANDO_H5_ID(H5T_IEEE_F64BE)
PANDO_H5_ID(H5T_C_S1)
PANDO_H5_ID(H5P_DATASET_CREATE)
PANDO_H5_ID(H5P_DATASET_ACCESS)
PANDO_H5_ID(H5P_LINK_CREATE)
PANDO_H5_ID(H5P_DEFAULT)
PANDO_H5_ID(H5S_ALL)
PANDO_H5_ID(H5E_DEFAULT)
#undef PANDO_H5_ID

static inline unsigned pando_H5F_ACC_RDONLY(void) { return H5F_ACC_RDONLY; }
static inline unsigned pando_H5F_ACC_TRUNC(void) { return H5F_ACC_TRUNC; }
static inline hsize_t pando_H5S_UNLIMITED(void) { return H5S_UNLIMITED; }
static inline haddr_t pando_HADDR_UNDEF(void) { return HADDR_UNDEF; }
static inline size_t pando_H5T_VARIABLE(void) { return H5T_VARIABLE; }

/// The address of an object's header, relative to the file's base address; HADDR_UNDEF on failure.
/// Asks for nothing else: the full information walks the whole chunk index.
static inline haddr_t pando_object_address(hid_t object) {
#if H5_VERSION_GE(1, 12, 0)
    H5O_info1_t info;
#else
    H5O_info_t info;
#endif
    return H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0 ? HADDR_UNDEF : info.addr;
}

/// How many attributes an object has; -1 on failure.
static inline long long pando_attribute_count(hid_t object) {
#if H5_VERSION_GE(1, 12, 0)
    H5O_info1_t info;
#else
    H5O_info_t info;
#endif
    return H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) < 0 ? -1 : (long long)info.num_attrs;
}

/// Whether `name` in `group` is a hard link: 1, 0, or -1 on failure.
static inline int pando_is_hard_link(hid_t group, const char *name) {
#if H5_VERSION_GE(1, 12, 0)
    H5L_info1_t info;
    herr_t failed = H5Lget_info1(group, name, &info, H5P_DEFAULT);
#else
    H5L_info_t info;
    herr_t failed = H5Lget_info(group, name, &info, H5P_DEFAULT);
#endif
    return failed < 0 ? -1 : info.type == H5L_TYPE_HARD;
}
