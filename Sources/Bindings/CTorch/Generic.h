// What other files of this target do in loops over the CPU's memory, in operations of libtorch: for GPUs.
#pragma once
#include "Devices.h"

#include <vector>

namespace ct::generic {
// The index of the nearest code of each row, the lowest of equal ones, and its squared distance.
std::pair<at::Tensor, at::Tensor> nearest(const at::Tensor &rows, const at::Tensor &codes);

at::Tensor cachedAttention(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, const at::Tensor &keys, const at::Tensor &values,
                           const std::vector<int64_t> &rows, int64_t at, int64_t heads);

struct Sampled {
    at::Tensor tokens, logProbability;
};
Sampled sample(const at::Tensor &logits, const at::Tensor &uniform, double temperature, int64_t topK, double topP);

// Parameters that have gradients and made as many steps, with what belongs to them.
struct Moved {
    std::vector<at::Tensor> p, g, m, v, slow;
};
void adamW(const Moved &all, double rate, double beta1, double beta2, double eps, double decay, int64_t step);
void ranger(Moved &all, const ct_ranger_options &options, double size, bool isRectified);

// The L2 norm of all of these together.
double norm(const std::vector<at::Tensor> &gradients);
}  // namespace ct::generic
