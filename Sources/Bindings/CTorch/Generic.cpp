// Loops over the CPU's memory in other files have their like here, made of libtorch's operations. What they give is the same but for rounding.
#include "Generic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ct::generic {
namespace {
// Rows that are compared with all codes at once: 8,192 codes then take 128 MiB.
constexpr int64_t comparedRows = 4096;
}  // namespace

std::pair<at::Tensor, at::Tensor> nearest(const at::Tensor &rows, const at::Tensor &codes) {
    std::vector<at::Tensor> places, distances;
    const int64_t count = rows.size(0), width = rows.size(1);
    for (int64_t first = 0; first < std::max<int64_t>(count, 1); first += comparedRows) {
        const auto part = rows.narrow(0, first, std::min(comparedRows, count - first));
        auto distance = at::zeros({part.size(0), codes.size(0)}, part.options());
        // Axis by axis, as the loop adds them up: |a|² - 2ab + |b|² would round otherwise.
        for (int64_t axis = 0; axis < width; axis++) {
            auto difference = part.select(1, axis).unsqueeze(1) - codes.select(1, axis);
            distance.add_(difference.mul_(difference));
        }
        // A distance that is no number is never the least.
        distance.masked_fill_(distance.isnan(), std::numeric_limits<double>::infinity());
        const auto place = distance.argmin(1);
        distances.push_back(distance.gather(1, place.unsqueeze(1)).squeeze(1));
        places.push_back(place);
    }
    return {places.size() == 1 ? places[0] : at::cat(places), distances.size() == 1 ? distances[0] : at::cat(distances)};
}

at::Tensor cachedAttention(const at::Tensor &query, const at::Tensor &key, const at::Tensor &value, const at::Tensor &keys, const at::Tensor &values,
                           const std::vector<int64_t> &rows, int64_t at, int64_t heads) {
    const int64_t count = query.size(0), width = query.size(1), depth = width / heads;
    const auto index = upload(rows, keys.device());
    keys.select(1, at).index_copy_(0, index, key.to(keys.scalar_type()));
    values.select(1, at).index_copy_(0, index, value.to(values.scalar_type()));
    // As long as no jet has ended, the caches are not gathered.
    bool isWhole = count == keys.size(0);
    for (int64_t i = 0; isWhole && i < count; i++) isWhole = rows[i] == i;
    auto split = [&](const at::Tensor &cache) {
        auto seen = cache.narrow(1, 0, at + 1);
        return (isWhole ? seen : seen.index_select(0, index)).reshape({count, at + 1, heads, depth}).transpose(1, 2);
    };
    const auto q = query.to(keys.scalar_type()).reshape({count, heads, 1, depth});
#if CT_V2
    const auto mixed = at::scaled_dot_product_attention(q, split(keys), split(values));
#else
    const auto weights = at::softmax(at::matmul(q * std::pow(static_cast<double>(depth), -0.5), split(keys).transpose(2, 3)), -1);
    const auto mixed = at::matmul(weights, split(values));
#endif
    return mixed.reshape({count, width}).to(at::kFloat);
}

Sampled sample(const at::Tensor &logits, const at::Tensor &uniform, double temperature, int64_t topK, double topP) {
    const auto line = logits.narrow(1, 1, logits.size(1) - 1);
    const int64_t count = line.size(1);
    const auto most = line.amax(1, true);
    auto chosen = line.argmax(1, true);
    if (temperature > 0) {
        auto p = ((line - most) * (1 / temperature)).exp_();
        if ((topK > 0 && topK < count) || topP < 1) {
            const auto sorted = at::sort(p, c10::optional<bool>(true), 1, true);
            const auto wide = std::get<0>(sorted).to(at::kDouble);
            // The token that reaches top_p is the last one that stays.
            auto stays = (wide.cumsum(1) - wide) < topP * wide.sum(1, true);
            stays.narrow(1, 0, 1).fill_(true);
            if (topK > 0 && topK < count) stays.narrow(1, topK, count - topK).fill_(false);
            p = p * at::zeros_like(p).scatter_(1, std::get<1>(sorted), stays.to(p.scalar_type()));
        }
        const auto sums = p.to(at::kDouble).cumsum(1);
        const auto wanted = uniform.unsqueeze(1) * sums.narrow(1, count - 1, 1);
        const auto isOne = ((sums > wanted) & (p > 0)).to(at::kInt);
        // The first one; where rounding leaves none, the likeliest.
        chosen = at::where(isOne.amax(1, true) > 0, isOne.argmax(1, true), chosen);
    }
    const auto shifted = (line - most).to(at::kDouble);
    return {(chosen + 1).squeeze(1), (shifted.gather(1, chosen) - shifted.exp().sum(1, true).log()).squeeze(1)};
}

void adamW(const Moved &all, double rate, double beta1, double beta2, double eps, double decay, int64_t step) {
#if CT_V2
    const std::vector<at::Tensor> steps(all.p.size(), at::full({}, static_cast<double>(step), all.p[0].options().requires_grad(false)));
    at::_fused_adamw_(all.p, all.g, all.m, all.v, {}, steps, rate, beta1, beta2, decay, eps, false, false);
#else
    const double c1 = 1 - std::pow(beta1, step), c2 = std::sqrt(1 - std::pow(beta2, step));
    at::_foreach_mul_(all.m, beta1);
    at::_foreach_add_(all.m, all.g, 1 - beta1);
    at::_foreach_mul_(all.v, beta2);
    at::_foreach_addcmul_(all.v, all.g, all.g, 1 - beta2);
    auto scale = at::_foreach_sqrt(all.v);
    at::_foreach_div_(scale, c2);
    at::_foreach_add_(scale, eps);
    at::_foreach_mul_(all.p, 1 - rate * decay);
    at::_foreach_addcdiv_(all.p, all.m, scale, -rate / c1);
#endif
}

namespace {
// Takes the mean over all axes but the first off.
void centralise(std::vector<at::Tensor> &all) {
    for (auto &t : all) {
        std::vector<int64_t> inner(std::max<int64_t>(t.dim() - 1, 0));
        std::iota(inner.begin(), inner.end(), 1);
        if (!inner.empty()) t = t - t.mean(inner, true);
    }
}
}  // namespace

void ranger(Moved &all, const ct_ranger_options &o, double size, bool isRectified) {
    if (o.centralise == 1) centralise(all.g);
    at::_foreach_mul_(all.v, o.beta2);
    at::_foreach_addcmul_(all.v, all.g, all.g, 1 - o.beta2);
    at::_foreach_mul_(all.m, o.beta1);
    at::_foreach_add_(all.m, all.g, 1 - o.beta1);
    if (o.decoupled) at::_foreach_mul_(all.p, 1 - o.rate * o.decay);
    std::vector<at::Tensor> update;
    if (isRectified) {
        auto scale = at::_foreach_sqrt(all.v);
        at::_foreach_add_(scale, o.eps);
        update = at::_foreach_div(all.m, scale);
    } else {
        update = at::_foreach_mul(all.m, 1.0);
    }
    if (!o.decoupled && o.decay != 0) at::_foreach_add_(update, all.p, o.decay);
    if (o.centralise == 2) centralise(update);
    // While the rectification is off, the original's update *is* its momentum, and changes of it stay there.
    if (!isRectified)
        for (size_t i = 0; i < all.m.size(); i++) all.m[i].copy_(update[i]);
    at::_foreach_add_(all.p, update, -size);
    if (o.step % o.lookahead != 0) return;
    auto ahead = at::_foreach_sub(all.p, all.slow);
    at::_foreach_add_(all.slow, ahead, o.alpha);
    for (size_t i = 0; i < all.p.size(); i++) all.p[i].copy_(all.slow[i]);
}

double norm(const std::vector<at::Tensor> &gradients) {
    if (gradients.empty()) return 0;
    std::vector<at::Tensor> norms;
    for (const auto &gradient : gradients) norms.push_back(at::norm(gradient, c10::optional<at::Scalar>(2), at::kDouble));
    // The only number that is waited for.
    return at::stack(norms).square().sum().sqrt().item().toDouble();
}
}  // namespace ct::generic
