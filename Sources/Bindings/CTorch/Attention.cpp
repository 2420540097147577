// Attention within jets: some jets of about one length at a time, padded to the longest of them.
#include "Devices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

using namespace ct;

namespace {
// So many jets are padded to the longest of them: on the CPU few enough for the cache, on a GPU enough to keep it busy.
constexpr int64_t bucketJets = 8, bucketJetsOfGPU = 64;
constexpr double never = -std::numeric_limits<double>::infinity();

// Jets that are computed together.
struct Bucket {
    int64_t jets = 0, length = 0;
    at::Tensor padded;  // for each place [jets * length] a row; for padding one of the same jet
    at::Tensor real;    // places that are no padding; undefined if all are real
    at::Tensor seen;    // what can be seen [jets, 1, 1 or length, length]: added to scores, or bool for the fused attention; undefined: all
    at::Tensor asks;    // 0 for queries that see all alike [jets, 1, length, 1]
};

// What a batch asks for, by which its buckets are found again.
struct Request {
    std::vector<int64_t> offsets, visible;
    bool causal, uniform, fused;
    at::Device device;

    bool operator==(const Request &other) const {
        return offsets == other.offsets && visible == other.visible && causal == other.causal && uniform == other.uniform && fused == other.fused &&
               device == other.device;
    }
};

struct Arrangement {
    Request request;
    std::vector<Bucket> buckets;
    at::Tensor place;  // where each row of the batch lies in what the buckets give, one behind the other

    explicit Arrangement(Request wanted) : request(std::move(wanted)) {
        const auto &offsets = request.offsets;
        std::vector<int64_t> order, places(offsets.back());
        for (int64_t i = 0; i + 1 < static_cast<int64_t>(offsets.size()); i++)
            if (offsets[i + 1] > offsets[i]) order.push_back(i);
        std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
            const int64_t n = offsets[a + 1] - offsets[a], m = offsets[b + 1] - offsets[b];
            return n != m ? n < m : a < b;
        });
        const size_t most = request.device.is_cpu() ? bucketJets : bucketJetsOfGPU;
        int64_t done = 0;
        for (size_t begin = 0; begin < order.size(); begin += most) {
            const std::vector<int64_t> jets(order.begin() + begin, order.begin() + std::min(order.size(), begin + most));
            buckets.push_back(bucket(jets));
            for (int64_t jet : jets)
                for (int64_t row = offsets[jet]; row < offsets[jet + 1]; row++) places[row] = done++;
        }
        place = upload(places, request.device);
    }

    Bucket bucket(const std::vector<int64_t> &jets) const {
        const auto &offsets = request.offsets;
        Bucket made;
        made.jets = static_cast<int64_t>(jets.size());
        for (int64_t jet : jets) made.length = std::max(made.length, offsets[jet + 1] - offsets[jet]);
        const int64_t length = made.length;
        std::vector<int64_t> padded, real;
        auto seen = at::zeros({made.jets, 1, 1, length}, at::kFloat), asks = at::zeros({made.jets, 1, length, 1}, at::kFloat);
        float *bias = seen.data_ptr<float>();
        bool hides = false;
        for (int64_t i = 0; i < made.jets; i++) {
            const int64_t first = offsets[jets[i]], n = offsets[jets[i] + 1] - first, last = request.visible.empty() ? n : request.visible[jets[i]];
            for (int64_t t = 0; t < length; t++) {
                padded.push_back(first + std::min(t, n - 1));
                if (t < n) real.push_back(i * length + t);
            }
            if (request.uniform) {
                // Scores of padded queries become equal; behind the causal mask real queries see no padding.
                std::fill_n(asks.data_ptr<float>() + i * length, last, 1.0f);
                continue;
            }
            // Behind a causal mask no real query sees what is behind the jet.
            for (int64_t t = (request.causal && last >= n) ? length : last; t < length; t++) {
                bias[i * length + t] = static_cast<float>(never);
                hides = true;
            }
        }
        made.padded = upload(padded, request.device);
        if (static_cast<int64_t>(real.size()) < made.jets * length) made.real = upload(real, request.device);
        auto there = [&](const at::Tensor &t) { return upload(t.data_ptr(), t.sizes(), t.scalar_type(), request.device); };
        if (request.uniform) made.asks = there(asks);
        if (!hides) return made;
        if (request.fused) {
            // The fused attention takes either a mask or the word causal.
            seen = seen == 0;
            if (request.causal) seen = seen.logical_and(at::ones({length, length}, at::kBool).tril());
        }
        made.seen = there(seen);
        return made;
    }

    // That of the last batch, or a new one: all layers ask for the same. It is not freed at the end of the thread, when a GPU's library may be gone.
    static const Arrangement &of(Request wanted) {
        static thread_local auto *last = new std::unique_ptr<Arrangement>();
        if (!*last || !((*last)->request == wanted)) *last = std::make_unique<Arrangement>(std::move(wanted));
        return **last;
    }
};

struct Attention {
    at::Tensor q, k, v;
    int64_t heads;
    bool causal;
    double dropout;

    // [jets, heads, length, depth]
    at::Tensor split(const at::Tensor &x, const Bucket &bucket) const {
        return x.index_select(0, bucket.padded).reshape({bucket.jets, bucket.length, heads, x.size(1) / heads}).transpose(1, 2);
    }

    // The rows of a bucket that are no padding.
    at::Tensor operator()(const Bucket &bucket, bool fused) const {
        const auto mixed = (fused ? inOne(bucket) : inSteps(bucket)).transpose(1, 2).reshape({bucket.jets * bucket.length, q.size(1)});
        return bucket.real.defined() ? mixed.index_select(0, bucket.real) : mixed;
    }

    at::Tensor inOne(const Bucket &bucket) const {
#if CT_V2
        const auto mask = bucket.seen.defined() ? c10::optional<at::Tensor>(bucket.seen) : c10::nullopt;
        return at::scaled_dot_product_attention(split(q, bucket), split(k, bucket), split(v, bucket), mask, dropout, causal && !mask);
#else
        return inSteps(bucket);
#endif
    }

    at::Tensor inSteps(const Bucket &bucket) const {
        const int64_t jets = bucket.jets, length = bucket.length, depth = q.size(1) / heads;
        auto flat = [&](const at::Tensor &x) { return split(x, bucket).reshape({jets * heads, length, depth}); };
        auto scores = at::bmm(flat(q) * std::pow(static_cast<double>(depth), -0.5), flat(k).transpose(1, 2)).to(at::kFloat);
        auto asJets = [&] { return scores.reshape({jets, heads, length, length}); };
        if (bucket.asks.defined()) scores = (asJets() * bucket.asks).reshape({jets * heads, length, length});
        if (causal) scores = scores + at::full({length, length}, never, scores.options().requires_grad(false)).triu(1);
        if (bucket.seen.defined()) scores = (asJets() + bucket.seen).reshape({jets * heads, length, length});
        auto weights = at::softmax(scores, -1);
        if (dropout > 0) weights = at::dropout(weights, dropout, true);
        return at::bmm(weights.to(v.scalar_type()), flat(v)).reshape({jets, heads, length, depth});
    }
};
}  // namespace

int ct_jagged_attention(ct_tensor q, ct_tensor k, ct_tensor v, const int64_t *offsets, size_t jets, const int64_t *visible, int heads,
                        int causal, int uniform, double dropout, ct_tensor *out) {
    return make(out, [&] {
        const int64_t count = static_cast<int64_t>(jets), rows = ref(q).size(0);
        TORCH_CHECK(heads > 0 && ref(q).size(1) % heads == 0, "the width is no multiple of the heads");
        TORCH_CHECK(offsets[0] == 0 && offsets[count] == rows, "the jets do not cover the rows");
        TORCH_CHECK(!uniform || (visible && causal), "only padding behind a causal mask can see uniformly");
        TORCH_CHECK(ref(k).sizes() == ref(q).sizes() && ref(v).sizes() == ref(q).sizes(), "q, k and v have other shapes");
        for (int64_t i = 0; i < count; i++) {
            TORCH_CHECK(offsets[i + 1] >= offsets[i], "the offsets do not rise");
            TORCH_CHECK(!visible || visible[i] >= 1 || offsets[i + 1] == offsets[i], "a jet without visible keys");
        }
        if (rows == 0) return at::zeros_like(ref(q));
        // Scores that are not only hidden are beyond the fused attention.
        const bool fused = CT_V2 && isGeneric(ref(q)) && !uniform;
        const auto &arrangement = Arrangement::of({{offsets, offsets + count + 1},
                                                   visible ? std::vector<int64_t>(visible, visible + count) : std::vector<int64_t>(),
                                                   causal != 0,
                                                   uniform != 0,
                                                   fused,
                                                   ref(q).device()});
        const Attention attention{ref(q), ref(k), ref(v), heads, causal != 0, dropout};
        std::vector<at::Tensor> parts;
        for (const auto &bucket : arrangement.buckets) parts.push_back(attention(bucket, fused));
        return (parts.size() == 1 ? parts[0] : at::cat(parts)).index_select(0, arrangement.place);
    });
}
