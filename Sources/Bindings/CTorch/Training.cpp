// Autograd and optimizers. On the CPU the optimizers are one loop over each tensor: three times as fast as an operation at a time.
#include "Generic.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <vector>

using namespace ct;

int ct_requires_grad(ct_tensor t, int on) {
    return guard([&] { ref(t).requires_grad_(on != 0); });
}
int ct_backward(ct_tensor loss) {
    return guard([&] { ref(loss).backward(); });
}
int ct_grad(ct_tensor t, ct_tensor *out) {
    return guard([&] {
        const auto &gradient = ref(t).grad();
        *out = gradient.defined() ? own(gradient) : nullptr;
    });
}
int ct_clear_grad(ct_tensor t) {
    return guard([&] { ref(t).mutable_grad() = at::Tensor(); });
}

namespace {
// In float64: libtorch 1.13 sums squares of float32 with relative errors of 3e-4 for two million of them. Eight sums at once, which the compiler
// takes as vectors; their order does not depend on threads.
double squares(const at::Tensor &gradient) {
    const auto flat = gradient.to(at::kFloat).contiguous();
    const float *x = flat.data_ptr<float>();
    const int64_t count = flat.numel(), whole = count / 8 * 8;
    double sums[8] = {0};
    for (int64_t i = 0; i < whole; i += 8)
        for (int64_t k = 0; k < 8; k++) sums[k] += static_cast<double>(x[i + k]) * x[i + k];
    for (int64_t i = whole; i < count; i++) sums[i - whole] += static_cast<double>(x[i]) * x[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}
}  // namespace

int ct_clip_grad_norm(const ct_tensor *parameters, size_t count, double most, double *norm) {
    return guard([&] {
        at::NoGradGuard no_grad;
        std::vector<at::Tensor> gradients;
        for (size_t i = 0; i < count; i++)
            if (const auto &gradient = ref(parameters[i]).grad(); gradient.defined()) gradients.push_back(gradient);
        if (!gradients.empty() && isGeneric(gradients[0])) {
            *norm = generic::norm(gradients);
        } else {
            double sum = 0;
            for (const auto &gradient : gradients) sum += squares(gradient);
            *norm = std::sqrt(sum);
        }
        const double factor = most > 0 ? most / (*norm + 1e-6) : 1;
        if (factor < 1) at::_foreach_mul_(gradients, factor);
    });
}

namespace {
constexpr int64_t grain = 32768;

// Pointers of tensors that are laid out alike and densely, whatever their strides.
struct Dense {
    float *p, *g, *m, *v;
    int64_t count;
};

float *floats(const at::Tensor &t) { return t.data_ptr<float>(); }

Dense dense(const at::Tensor &p, const at::Tensor &g, const at::Tensor &m, const at::Tensor &v) {
    for (const auto *t : {&p, &g, &m, &v}) {
        TORCH_CHECK(t->device().is_cpu() && t->scalar_type() == at::kFloat && t->is_contiguous() && t->sizes() == p.sizes(),
                    "parameters, gradients and moments are contiguous float32 tensors of one shape");
    }
    return {floats(p), floats(g), floats(m), floats(v), p.numel()};
}
}  // namespace

namespace {
// Those of the parameters that have a gradient, with their gradients.
generic::Moved moved(const ct_tensor *p, const ct_tensor *m, const ct_tensor *v, const ct_tensor *slow, size_t count) {
    generic::Moved all;
    for (size_t i = 0; i < count; i++) {
        const auto &gradient = ref(p[i]).grad();
        if (!gradient.defined()) continue;
        all.p.push_back(ref(p[i]));
        all.g.push_back(gradient.contiguous());
        all.m.push_back(ref(m[i]));
        all.v.push_back(ref(v[i]));
        if (slow) {
            TORCH_CHECK(ref(slow[i]).is_contiguous() && ref(slow[i]).sizes() == ref(p[i]).sizes(), "the slow weights have the parameter's shape");
            all.slow.push_back(ref(slow[i]));
        }
    }
    return all;
}

void adamWLoop(const Dense &d, double rate, double beta1, double beta2, double eps, double decay, int64_t step) {
    const double c1 = 1 - std::pow(beta1, step), c2 = std::sqrt(1 - std::pow(beta2, step));
    const float keep = static_cast<float>(1 - rate * decay), size = static_cast<float>(rate / c1);
    const float b1 = static_cast<float>(beta1), b2 = static_cast<float>(beta2), e = static_cast<float>(eps);
    const float a1 = static_cast<float>(1 - beta1), a2 = static_cast<float>(1 - beta2), root = static_cast<float>(c2);
    at::parallel_for(0, d.count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            const float g = d.g[i];
            d.m[i] = b1 * d.m[i] + a1 * g;
            d.v[i] = b2 * d.v[i] + a2 * g * g;
            d.p[i] = d.p[i] * keep - size * d.m[i] / (std::sqrt(d.v[i]) / root + e);
        }
    });
}

// One parameter of a step whose rectified size is known.
void rangerLoop(const at::Tensor &x, at::Tensor gradient, const at::Tensor &m, const at::Tensor &v, const at::Tensor &slow, const ct_ranger_options &o,
                float size, bool isRectified) {
    std::vector<int64_t> inner;
    for (int64_t axis = 1; axis < x.dim(); axis++) inner.push_back(axis);
    if (o.centralise == 1 && !inner.empty()) gradient = gradient - gradient.mean(inner, true);
    const Dense d = dense(x, gradient, m, v);
    const float b1 = static_cast<float>(o.beta1), b2 = static_cast<float>(o.beta2), e = static_cast<float>(o.eps);
    const float a1 = static_cast<float>(1 - o.beta1), a2 = static_cast<float>(1 - o.beta2), decay = static_cast<float>(o.decay);
    const float keep = o.decoupled ? static_cast<float>(1 - o.rate * o.decay) : 1;
    at::Tensor update = at::empty_like(x);
    float *u = floats(update);
    at::parallel_for(0, d.count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            const float g = d.g[i];
            d.v[i] = b2 * d.v[i] + a2 * g * g;
            d.m[i] = b1 * d.m[i] + a1 * g;
            d.p[i] *= keep;
            u[i] = isRectified ? d.m[i] / (std::sqrt(d.v[i]) + e) : d.m[i];
            if (!o.decoupled) u[i] += decay * d.p[i];
        }
    });
    if (o.centralise == 2 && !inner.empty()) update.sub_(update.mean(inner, true));
    // While the rectification is off, the original's update *is* its momentum, and changes of it stay there.
    if (!isRectified) m.copy_(update);
    x.add_(update, -size);
    if (o.step % o.lookahead == 0) {
        slow.add_(x - slow, o.alpha);
        x.copy_(slow);
    }
}
}  // namespace

int ct_adamw(const ct_tensor *p, const ct_tensor *m, const ct_tensor *v, size_t count, double rate, double beta1, double beta2, double eps,
             double decay, int64_t step) {
    return guard([&] {
        at::NoGradGuard no_grad;
        const auto all = moved(p, m, v, nullptr, count);
        if (all.p.empty()) return;
        if (isGeneric(all.p[0])) return generic::adamW(all, rate, beta1, beta2, eps, decay, step);
        for (size_t i = 0; i < all.p.size(); i++) adamWLoop(dense(all.p[i], all.g[i], all.m[i], all.v[i]), rate, beta1, beta2, eps, decay, step);
    });
}

int ct_ranger(const ct_tensor *p, const ct_tensor *m, const ct_tensor *v, const ct_tensor *slow, size_t count, ct_ranger_options o) {
    return guard([&] {
        at::NoGradGuard no_grad;
        auto all = moved(p, m, v, slow, count);
        if (all.p.empty()) return;
        if (o.step == 1)
            for (size_t i = 0; i < all.p.size(); i++) all.slow[i].copy_(all.p[i]);
        const double t = static_cast<double>(o.step), most = 2 / (1 - o.beta2) - 1, power = std::pow(o.beta2, t);
        const double length = most - 2 * t * power / (1 - power);
        const bool isRectified = length > 5;
        const double factor =
            (isRectified ? std::sqrt((1 - power) * (length - 4) / (most - 4) * (length - 2) / length * most / (most - 2)) : 1) /
            (1 - std::pow(o.beta1, t));
        if (isGeneric(all.p[0])) return generic::ranger(all, o, o.rate * factor, isRectified);
        for (size_t i = 0; i < all.p.size(); i++)
            rangerLoop(all.p[i], all.g[i], all.m[i], all.v[i], all.slow[i], o, static_cast<float>(o.rate * factor), isRectified);
    });
}
