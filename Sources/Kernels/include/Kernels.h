#ifndef PANDO_KERNELS_H
#define PANDO_KERNELS_H
#include <stdint.h>
#include <stddef.h>
#endif
