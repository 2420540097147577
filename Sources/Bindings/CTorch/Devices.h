// What the files of this target share about devices.
#pragma once
#include "Guard.h"

#include <vector>

namespace ct {
// The device of a number of the C face; throws with what there is where it is not.
at::Device place(int device);
// Whether a tensor is not for loops over the CPU's memory, but for operations of libtorch: it is elsewhere, or a test wants it so.
bool isGeneric(const at::Tensor &t);
// A copy of memory on a device, which does not wait for it.
at::Tensor upload(const void *data, at::IntArrayRef shape, at::ScalarType type, at::Device device);
inline at::Tensor upload(const std::vector<int64_t> &values, at::Device device) {
    return upload(values.data(), {static_cast<int64_t>(values.size())}, at::kLong, device);
}
}  // namespace ct
