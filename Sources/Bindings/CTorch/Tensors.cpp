// Tensors: making, looking, operations.
#include "Devices.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <dlfcn.h>
#include <malloc.h>
#include <mutex>
#include <vector>

using namespace ct;

namespace {
thread_local std::string message;
}

int ct::fail(const char *what) noexcept {
    try {
        message = what;
    } catch (...) {
        message.clear();
    }
    return 1;
}

const char *ct_error(void) { return message.c_str(); }
const char *ct_version(void) { return TORCH_VERSION; }

int ct_seed(uint64_t seed) {
    return guard([&] { at::manual_seed(seed); });
}
int ct_set_threads(int threads) {
    return guard([&] {
        at::set_num_threads(threads);
        // Debian's OpenBLAS has threads of its own.
        if (auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(threads);
    });
}
int ct_threads(void) { return at::get_num_threads(); }
const char *ct_kernels(void) {
    static const std::string text = [] {
        std::string found;
        auto say = [&](const char *name, const std::string &what) { found += (found.empty() ? "" : ", ") + std::string(name) + " (" + what + ")"; };
        if (auto core = reinterpret_cast<const char *(*)(void)>(dlsym(RTLD_DEFAULT, "openblas_get_corename"))) say("OpenBLAS", core());
        if (at::hasMKL()) say("MKL", "its own choice");
        if (auto isa = reinterpret_cast<int (*)(void)>(dlsym(RTLD_DEFAULT, "dnnl_get_effective_cpu_isa"))) {
            // dnnl_cpu_isa_t of oneDNN 2: bits that add up.
            switch (isa()) {
                case 0x1: say("oneDNN", "SSE4.1"); break;
                case 0x3: say("oneDNN", "AVX"); break;
                case 0x7: say("oneDNN", "AVX2"); break;
                case 0x27: say("oneDNN", "AVX-512"); break;
                case 0x67: say("oneDNN", "AVX-512 VNNI"); break;
                case 0xe7: say("oneDNN", "AVX-512 BF16"); break;
                case 0x3ff: case 0x3e7: say("oneDNN", "AVX-512 AMX"); break;
                default: say("oneDNN", "instruction set " + std::to_string(isa())); break;
            }
        }
        return found;
    }();
    return text.c_str();
}
int ct_grad_mode(int on) {
    const bool old = at::GradMode::is_enabled();
    at::GradMode::set_enabled(on != 0);
    return old;
}
int ct_autocast_bf16(int on, int device) {
#if CT_V2
    const auto kind = device < 0 ? at::kCPU : at::kCUDA;
    const bool old = at::autocast::is_autocast_enabled(kind);
    at::autocast::set_autocast_dtype(kind, at::kBFloat16);
    at::autocast::set_autocast_enabled(kind, on != 0);
#else
    const bool old = device < 0 ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
    if (device < 0) {
        at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
        at::autocast::set_cpu_enabled(on != 0);
    } else {
        at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
        at::autocast::set_enabled(on != 0);
    }
#endif
    // Casted weights must not outlive an optimizer's step.
    if (!on) at::autocast::clear_cache();
    return old;
}
void ct_keep_freed_memory(void) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 2000000000);
    mallopt(M_ARENA_MAX, 1);
}

int ct_full(const int64_t *shape, size_t rank, int dtype, double value, int device, ct_tensor *out) {
    return make(out, [&] { return at::full({shape, rank}, value, at::TensorOptions(scalar(dtype)).device(place(device))); });
}
int ct_uniform(const int64_t *shape, size_t rank, double low, double high, ct_tensor *out) {
    return make(out, [&] { return at::empty({shape, rank}, at::kFloat).uniform_(low, high); });
}
int ct_normal(const int64_t *shape, size_t rank, double mean, double deviation, ct_tensor *out) {
    return make(out, [&] { return at::empty({shape, rank}, at::kFloat).normal_(mean, deviation); });
}
int ct_permutation(int64_t count, ct_tensor *out) {
    return make(out, [&] { return at::randperm(count, at::TensorOptions(at::kLong)); });
}
int ct_copy(const void *data, const int64_t *shape, size_t rank, int dtype, int device, ct_tensor *out) {
    return make(out, [&] { return upload(data, {shape, rank}, scalar(dtype), place(device)); });
}
int ct_borrow(void *data, const int64_t *shape, size_t rank, int dtype, void (*release)(void *), void *context, ct_tensor *out) {
    return make(out, [&] {
        return at::from_blob(
            data, {shape, rank}, [release, context](void *) { if (release) release(context); },
            at::TensorOptions(scalar(dtype)));
    });
}
int ct_alias(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return ref(t); });
}
void ct_free(ct_tensor t) { delete reinterpret_cast<at::Tensor *>(t); }

int ct_rank(ct_tensor t) { return static_cast<int>(ref(t).dim()); }
void ct_shape(ct_tensor t, int64_t *dims) {
    for (int64_t d : ref(t).sizes()) *dims++ = d;
}
int ct_dtype(ct_tensor t) { return static_cast<int>(ref(t).scalar_type()); }
int ct_data(ct_tensor t, void **data, size_t *bytes) {
    return guard([&] {
        const auto &x = ref(t);
        TORCH_CHECK(x.device().is_cpu() && x.is_contiguous(), "no contiguous tensor of the CPU");
        *data = x.data_ptr();
        *bytes = x.nbytes();
    });
}
int ct_item(ct_tensor t, double *out) {
    return guard([&] { *out = ref(t).item().toDouble(); });
}

int ct_to(ct_tensor t, int dtype, ct_tensor *out) {
    return make(out, [&] { return ref(t).to(scalar(dtype)); });
}
int ct_contiguous(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return ref(t).contiguous(); });
}
int ct_clone(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return ref(t).clone(at::MemoryFormat::Contiguous); });
}
int ct_detach(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return ref(t).detach(); });
}
int ct_reshape(ct_tensor t, const int64_t *shape, size_t rank, ct_tensor *out) {
    return make(out, [&] { return ref(t).reshape({shape, rank}); });
}
int ct_transpose(ct_tensor t, int64_t a, int64_t b, ct_tensor *out) {
    return make(out, [&] { return ref(t).transpose(a, b); });
}
int ct_narrow(ct_tensor t, int64_t dim, int64_t start, int64_t length, ct_tensor *out) {
    return make(out, [&] { return ref(t).narrow(dim, start, length); });
}
int ct_index_select(ct_tensor t, ct_tensor index, ct_tensor *out) {
    return make(out, [&] { return ref(t).index_select(0, ref(index)); });
}
int ct_cat(const ct_tensor *parts, size_t count, int64_t dim, ct_tensor *out) {
    return make(out, [&] {
        std::vector<at::Tensor> all;
        for (size_t i = 0; i < count; i++) all.push_back(ref(parts[i]));
        return at::cat(all, dim);
    });
}
#define BINARY(NAME) \
    int ct_##NAME(ct_tensor a, ct_tensor b, ct_tensor *out) { \
        return make(out, [&] { return at::NAME(ref(a), ref(b)); }); \
    }
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(matmul)
int ct_affine(ct_tensor t, double factor, double shift, ct_tensor *out) {
    return make(out, [&] {
        auto scaled = factor == 1 ? ref(t) : ref(t) * factor;
        return shift == 0 ? scaled : scaled + shift;
    });
}
int ct_linear(ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor *out) {
    return make(out, [&] {
        return at::linear(ref(x), ref(weight), bias ? c10::optional<at::Tensor>(ref(bias)) : c10::nullopt);
    });
}
int ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor *out) {
    return make(out, [&] { return at::layer_norm(ref(x), ref(weight).sizes(), ref(weight), ref(bias), 1e-5); });
}
#define UNARY(NAME) \
    int ct_##NAME(ct_tensor t, ct_tensor *out) { \
        return make(out, [&] { return at::NAME(ref(t)); }); \
    }
UNARY(relu)
UNARY(silu)
UNARY(exp)
UNARY(square)
UNARY(sum)
int ct_dropout(ct_tensor t, double probability, ct_tensor *out) {
    return make(out, [&] { return at::dropout(ref(t), probability, true); });
}
int ct_softmax(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return at::softmax(ref(t), -1); });
}
int ct_log_softmax(ct_tensor t, ct_tensor *out) {
    return make(out, [&] { return at::log_softmax(ref(t), -1); });
}
int ct_sum_dim(ct_tensor t, int64_t dim, ct_tensor *out) {
    return make(out, [&] { return at::sum(ref(t), at::IntArrayRef(dim)); });
}
int ct_cross_entropy(ct_tensor logits, ct_tensor targets, ct_tensor *out) {
    return make(out, [&] {
        TORCH_CHECK(ref(logits).size(0) > 0, "no rows");
        return at::cross_entropy_loss(ref(logits), ref(targets));
    });
}
int ct_hits(ct_tensor logits, ct_tensor targets, ct_tensor *out) {
    return make(out, [&] { return (ref(logits).argmax(1) == ref(targets)).sum().to(at::kFloat); });
}
int ct_copy_(ct_tensor t, ct_tensor from) {
    return guard([&] { ref(t).copy_(ref(from)); });
}
int ct_fill_(ct_tensor t, double value) {
    return guard([&] { ref(t).fill_(value); });
}
int ct_index_copy_(ct_tensor t, ct_tensor index, ct_tensor rows) {
    return guard([&] { ref(t).index_copy_(0, ref(index), ref(rows)); });
}
