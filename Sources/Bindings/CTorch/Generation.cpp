// What generation needs: attention to a cache, and sampling. On the CPU both are one loop over jets in the tensors' memory.
#include "Generic.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace ct;

namespace {
float dot(const float *a, const float *b, int64_t n) {
    // Four sums, so that they can be added at once.
    float s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

void check(const at::Tensor &t, const char *what) {
    TORCH_CHECK(t.device().is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous(), what, " is no contiguous float32 of the CPU");
}
}  // namespace

int ct_cached_attention(ct_tensor q, ct_tensor k, ct_tensor v, ct_tensor key_cache, ct_tensor value_cache, const int64_t *cache_rows, int64_t at,
                        int heads, ct_tensor *out) {
    return make(out, [&] {
        at::NoGradGuard no_grad;
        // Under autocast these are bfloat16.
        const auto query = ref(q).to(at::kFloat).contiguous(), key = ref(k).to(at::kFloat).contiguous(), value = ref(v).to(at::kFloat).contiguous();
        auto &keys = ref(key_cache), &values = ref(value_cache);
        const int64_t rows = query.size(0), width = query.size(1), length = keys.size(1), depth = width / std::max(1, heads);
        TORCH_CHECK(heads > 0 && width % heads == 0 && keys.size(2) == width && at >= 0 && at < length && keys.sizes() == values.sizes() &&
                        key.sizes() == query.sizes() && value.sizes() == query.sizes(),
                    "the cache has another shape");
        for (int64_t i = 0; i < rows; i++) TORCH_CHECK(cache_rows[i] >= 0 && cache_rows[i] < keys.size(0), "a row outside the cache");
        if (isGeneric(query)) return generic::cachedAttention(query, key, value, keys, values, {cache_rows, cache_rows + rows}, at, heads);
        for (const auto *t : {&query, &key, &value}) check(*t, "a query, key or value");
        check(keys, "the cache of keys");
        check(values, "the cache of values");
        auto mixed = at::zeros_like(query);
        const float *qs = query.data_ptr<float>(), *ks = key.data_ptr<float>(), *vs = value.data_ptr<float>();
        float *kc = keys.data_ptr<float>(), *vc = values.data_ptr<float>(), *to = mixed.data_ptr<float>();
        const float scale = static_cast<float>(std::pow(static_cast<double>(depth), -0.5));
        at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
            std::vector<float> scores((at + 1) * heads);
            for (int64_t i = begin; i < end; i++) {
                float *kr = kc + cache_rows[i] * length * width, *vr = vc + cache_rows[i] * length * width;
                std::copy(ks + i * width, ks + (i + 1) * width, kr + at * width);
                std::copy(vs + i * width, vs + (i + 1) * width, vr + at * width);
                for (int64_t t = 0; t <= at; t++)
                    for (int64_t h = 0; h < heads; h++)
                        scores[h * (at + 1) + t] = dot(qs + i * width + h * depth, kr + t * width + h * depth, depth) * scale;
                for (int64_t h = 0; h < heads; h++) {
                    float *s = scores.data() + h * (at + 1), most = *std::max_element(s, s + at + 1), sum = 0;
                    for (int64_t t = 0; t <= at; t++) sum += s[t] = std::exp(s[t] - most);
                    for (int64_t t = 0; t <= at; t++) s[t] /= sum;
                }
                float *line = to + i * width;
                for (int64_t t = 0; t <= at; t++)
                    for (int64_t h = 0; h < heads; h++) {
                        const float w = scores[h * (at + 1) + t];
                        for (int64_t j = h * depth; j < (h + 1) * depth; j++) line[j] += w * vr[t * width + j];
                    }
            }
        });
        return mixed;
    });
}

int ct_sample(ct_tensor logits, const double *uniform, double temperature, int64_t top_k, double top_p, int64_t *tokens, double *log_probability) {
    return guard([&] {
        at::NoGradGuard no_grad;
        const auto x = ref(logits).to(at::kFloat).contiguous();
        const int64_t rows = x.size(0), all = x.size(1);
        TORCH_CHECK(all >= 2 && temperature >= 0 && top_p > 0 && top_k >= 0, "nothing to sample from");
        if (isGeneric(x)) {
            const auto found = generic::sample(x, upload(uniform, {rows}, at::kDouble, x.device()), temperature, top_k, top_p);
            const auto chosen = found.tokens.to(at::kCPU).contiguous(), logs = found.logProbability.to(at::kCPU).contiguous();
            std::copy_n(chosen.data_ptr<int64_t>(), rows, tokens);
            if (log_probability) std::copy_n(logs.data_ptr<double>(), rows, log_probability);
            return;
        }
        const float *values = x.data_ptr<float>();
        at::parallel_for(0, rows, 4, [&](int64_t begin, int64_t end) {
            std::vector<float> p(all - 1);
            std::vector<int64_t> order;
            for (int64_t i = begin; i < end; i++) {
                const float *line = values + i * all + 1;
                const int64_t count = all - 1;
                const int64_t likeliest = std::max_element(line, line + count) - line;
                const float most = line[likeliest];
                double total = 0;
                int64_t chosen = likeliest;
                if (temperature > 0) {
                    const float factor = static_cast<float>(1 / temperature);
                    for (int64_t k = 0; k < count; k++) p[k] = std::exp((line[k] - most) * factor);
                    if ((top_k > 0 && top_k < count) || top_p < 1) {
                        order.resize(count);
                        std::iota(order.begin(), order.end(), 0);
                        std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
                        const double sum = std::accumulate(p.begin(), p.end(), 0.0);
                        const int64_t kept = top_k > 0 ? std::min(top_k, count) : count;
                        double before = 0;
                        for (int64_t k = 0; k < count; k++) {
                            // The token that reaches top_p is the last one that stays.
                            const bool stays = k < kept && (k == 0 || before < top_p * sum);
                            before += p[order[k]];
                            if (!stays) p[order[k]] = 0;
                        }
                    }
                    for (float value : p) total += value;
                    const double wanted = uniform[i] * total;
                    double sum = 0;
                    chosen = likeliest;
                    for (int64_t k = 0; k < count; k++) {
                        sum += p[k];
                        if (sum > wanted && p[k] > 0) {
                            chosen = k;
                            break;
                        }
                    }
                }
                tokens[i] = chosen + 1;
                if (log_probability) {
                    double sum = temperature == 1 && top_k == 0 && top_p == 1 ? total : 0;
                    if (sum == 0)
                        for (int64_t k = 0; k < count; k++) sum += std::exp(line[k] - most);
                    log_probability[i] = line[chosen] - most - std::log(sum);
                }
            }
        });
    });
}
