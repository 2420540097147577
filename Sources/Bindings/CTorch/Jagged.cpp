// What jagged batches need beside attention: the loss of a large vocabulary without all of its logits, nearest codes, sums of jets.
#include "Generic.h"

#include <SoftmaxKernels.h>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

using namespace ct;

namespace {
// Codes that are compared at once.
constexpr int64_t codeStretch = 256;
// Logits of so many rows at once: few enough that those of a batch never exist, many enough that their share of adding up gradients is small.
constexpr int64_t chunkRows = 512, chunkRowsOfGPU = 4096;

// Cross entropy of rows of logits (without bias) with their weights; logits become the gradient by them if it is wanted, and its columns are added to db.
double softmaxLoss(at::Tensor &logits, const at::Tensor &bias, const int64_t *targets, const float *weights, bool wantsGradient, at::Tensor &db) {
    const int64_t rows = logits.size(0), width = logits.size(1);
    const bool half = logits.scalar_type() == at::kBFloat16;
    char *base = static_cast<char *>(logits.data_ptr());
    const size_t bytes = width * logits.element_size();
    std::vector<double> losses(rows);
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(width);
        for (int64_t row = begin; row < end; row++) {
            char *line = base + row * bytes;
            losses[row] = pando_softmax_gradient(line, half, bias.data_ptr<float>(), width, targets[row], weights[row], scratch.data(),
                                                 wantsGradient ? line : nullptr);
        }
    });
    if (wantsGradient) {
        at::parallel_for(0, width, 1024, [&](int64_t begin, int64_t end) {
            pando_add_columns(base, half, rows, width, begin, end, db.data_ptr<float>());
        });
    }
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

// The same with operations of libtorch, for other devices and types; the loss, of float64, is not waited for.
at::Tensor softmaxLossOfAny(at::Tensor &logits, const at::Tensor &bias, const at::Tensor &targets, const at::Tensor &weights, bool wantsGradient,
                            at::Tensor &db) {
    const auto target = targets.unsqueeze(1), scale = weights.unsqueeze(1);
    auto p = at::log_softmax(logits.to(bias.scalar_type()) + bias, -1);
    const auto loss = (p.gather(1, target) * scale).sum(at::kDouble).neg();
    if (!wantsGradient) return loss;
    p.exp_();
    p.scatter_add_(1, target, at::full_like(target, -1, p.options()));
    p.mul_(scale);
    db.add_(p.sum(0));
    logits.copy_(p);
    return loss;
}

// Gradients are made in the forward pass, chunk by chunk: the logits of all rows never exist.
struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, at::Tensor x, at::Tensor weight, at::Tensor bias,
                              at::Tensor targets, at::Tensor rowWeights, bool half, bool wantsGradient) {
        at::NoGradGuard no_grad;
        const int64_t rows = x.size(0);
        const auto kind = half ? at::kBFloat16 : x.scalar_type();
        const auto w = weight.to(kind).contiguous(), xs = x.to(kind).contiguous(), b = bias.contiguous();
        const auto t = targets.contiguous(), scales = rowWeights.to(at::kFloat).contiguous();
        const bool fused = !isGeneric(x) && bias.scalar_type() == at::kFloat && (half || kind == at::kFloat);
        auto dx = wantsGradient ? at::empty_like(x) : at::Tensor(), dw = wantsGradient ? at::zeros_like(weight) : at::Tensor();
        auto db = wantsGradient ? at::zeros_like(bias) : at::Tensor();
        double loss = 0;
        auto lossOfAny = at::zeros({}, x.options().dtype(at::kDouble));
        const int64_t most = x.device().is_cpu() ? chunkRows : chunkRowsOfGPU;
        for (int64_t start = 0; start < rows; start += most) {
            const int64_t n = std::min(most, rows - start);
            const auto part = xs.narrow(0, start, n);
            auto logits = at::matmul(part, w.t());
            if (fused) {
                loss += softmaxLoss(logits, b, t.data_ptr<int64_t>() + start, scales.data_ptr<float>() + start, wantsGradient, db);
            } else {
                lossOfAny.add_(softmaxLossOfAny(logits, b, t.narrow(0, start, n), scales.narrow(0, start, n), wantsGradient, db));
            }
            if (!wantsGradient) continue;
            dx.narrow(0, start, n).copy_(at::matmul(logits, w));
            // Sums stay float32.
            if (half) dw.add_(at::matmul(logits.t(), part));
            else dw.addmm_(logits.t(), part);
        }
        if (wantsGradient) context->save_for_backward({dx, dw, db});
        return fused ? at::full({}, loss, x.options()) : lossOfAny.to(x.scalar_type());
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context, torch::autograd::variable_list grads) {
        const auto saved = context->get_saved_variables();
        return {saved[0] * grads[0], saved[1] * grads[0], saved[2] * grads[0], at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};
}  // namespace

int ct_linear_cross_entropy(ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor targets, ct_tensor row_weights, int checked, ct_tensor *out) {
    return make(out, [&] {
        const auto &t = ref(targets);
        TORCH_CHECK(t.numel() == ref(x).size(0) && ref(row_weights).numel() == t.numel(), "other numbers of rows, targets and weights");
        if (t.numel() > 0 && !checked) {
            TORCH_CHECK(t.min().item().toLong() >= 0 && t.max().item().toLong() < ref(weight).size(0), "a target is outside the vocabulary");
        }
#if CT_V2
        const bool half = at::autocast::is_autocast_enabled(ref(x).is_cpu() ? at::kCPU : at::kCUDA);
#else
        const bool half = ref(x).is_cpu() ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
#endif
        return LinearCrossEntropy::apply(ref(x).to(ref(weight).scalar_type()), ref(weight), ref(bias), t, ref(row_weights), half,
                                         at::GradMode::is_enabled());
    });
}

int ct_nearest(ct_tensor rows, ct_tensor codes, ct_tensor *index, ct_tensor *distance) {
    return guard([&] {
        at::NoGradGuard no_grad;
        TORCH_CHECK(ref(codes).size(1) == ref(rows).size(1) && ref(codes).size(0) > 0, "rows and codes have other widths");
        const auto x = ref(rows).to(at::kFloat).contiguous();
        if (isGeneric(x)) {
            const auto found = generic::nearest(x, ref(codes).to(at::kFloat));
            *index = own(found.first);
            *distance = own(found.second);
            return;
        }
        const auto c = ref(codes).to(at::kFloat).t().contiguous();
        const int64_t count = x.size(0), width = x.size(1), all = c.size(1);
        auto best = at::empty({count}, at::kLong), least = at::empty({count}, at::kFloat);
        const float *xs = x.data_ptr<float>(), *cs = c.data_ptr<float>();
        int64_t *to = best.data_ptr<int64_t>();
        float *far = least.data_ptr<float>();
        at::parallel_for(0, count, 256, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                float best = std::numeric_limits<float>::infinity();
                int64_t place = 0;
                // A stretch of codes at a time, whose distances stay in registers and the nearest cache.
                for (int64_t first = 0; first < all; first += codeStretch) {
                    const int64_t n = std::min(codeStretch, all - first);
                    float d[codeStretch] = {0};
                    for (int64_t j = 0; j < width; j++) {
                        const float value = xs[i * width + j], *line = cs + j * all + first;
                        for (int64_t k = 0; k < n; k++) {
                            const float difference = value - line[k];
                            d[k] += difference * difference;
                        }
                    }
                    float least = d[0];
                    for (int64_t k = 1; k < n; k++) least = d[k] < least ? d[k] : least;
                    // The lowest index of equal ones; a distance that is no number is never the least.
                    if (least < best) {
                        best = least;
                        place = first + (std::find(d, d + n, least) - d);
                    }
                }
                to[i] = place;
                far[i] = best;
            }
        });
        *index = own(best);
        *distance = own(least);
    });
}

int ct_segment_sum(ct_tensor rows, const int64_t *offsets, size_t jets, ct_tensor *out) {
    return make(out, [&] {
        const int64_t count = static_cast<int64_t>(jets);
        TORCH_CHECK(offsets[0] == 0 && offsets[count] == ref(rows).size(0), "the jets do not cover the rows");
        std::vector<int64_t> owner;
        for (int64_t i = 0; i < count; i++) {
            TORCH_CHECK(offsets[i + 1] >= offsets[i], "the offsets do not rise");
            owner.insert(owner.end(), offsets[i + 1] - offsets[i], i);
        }
        return at::zeros({count, ref(rows).size(1)}, ref(rows).options()).index_add(0, upload(owner, ref(rows).device()), ref(rows));
    });
}
