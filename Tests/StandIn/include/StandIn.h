// A device that stands for a GPU on machines without one. Its memory is the CPU's behind addresses that nobody else can use, and each operation on it
// is that of the CPU; but one that is given tensors of two devices fails, as it would on a GPU.
#pragma once
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

int standin_device(void);          // its number among libtorch's types of devices
int64_t standin_operations(void);  // that ran on it so far
int64_t standin_waits(void);       // copies from it to the CPU so far, for which a GPU would be waited for

#ifdef __cplusplus
}
#endif
