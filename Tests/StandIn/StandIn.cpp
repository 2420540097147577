#include "StandIn.h"

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else
#include <torch/csrc/api/include/torch/version.h>
#endif

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#if TORCH_VERSION_MAJOR >= 2
#include <ATen/detail/PrivateUse1HooksInterface.h>
#endif

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {
constexpr auto kind = c10::DeviceType::PrivateUse1;
std::atomic<int64_t> operations{0}, waits{0};

// Addresses of the device are those of the CPU plus this: using one on the CPU is a fault.
constexpr uintptr_t away = uintptr_t{1} << 62;
void *toDevice(void *p) { return p ? reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(p) + away) : nullptr; }
void *toHost(void *p) { return p ? reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(p) - away) : nullptr; }
void release(void *p) { std::free(toHost(p)); }

struct Memory final : c10::Allocator {
#if TORCH_VERSION_MAJOR >= 2
    at::DataPtr allocate(size_t bytes) override {
#else
    at::DataPtr allocate(size_t bytes) const override {
#endif
        void *p = nullptr;
        if (posix_memalign(&p, 64, bytes ? bytes : 64) != 0) throw std::bad_alloc();
        void *there = toDevice(p);
        return {there, there, &release, at::Device(kind, 0)};
    }
    at::DeleterFnPtr raw_deleter() const override { return &release; }
#if TORCH_VERSION_MAJOR >= 2
    void copy_data(void *to, const void *from, size_t bytes) const override { std::memcpy(toHost(to), toHost(const_cast<void *>(from)), bytes); }
#endif
};

struct Guard final : c10::impl::DeviceGuardImplInterface {
    c10::DeviceType type() const override { return kind; }
    c10::Device exchangeDevice(c10::Device) const override { return {kind, 0}; }
    c10::Device getDevice() const override { return {kind, 0}; }
    void setDevice(c10::Device) const override {}
    void uncheckedSetDevice(c10::Device) const noexcept override {}
#if TORCH_VERSION_MAJOR >= 2
    c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kind, 0)); }
    c10::Stream exchangeStream(c10::Stream) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kind, 0)); }
#else
    c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kind, 0)); }
    c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(kind, 0)); }
#endif
    c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

#if TORCH_VERSION_MAJOR >= 2
struct Hooks final : at::PrivateUse1HooksInterface {
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
    c10::DeviceIndex deviceCount() const override { return 1; }
    c10::DeviceIndex getCurrentDevice() const override { return 0; }
    void setCurrentDevice(c10::DeviceIndex) const override {}
    c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
    c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
    const at::Generator &getDefaultGenerator(c10::DeviceIndex) const override { return at::detail::getDefaultCPUGenerator(); }
};
#endif

Memory *memory() {
    static Memory *one = new Memory;
    return one;
}

at::Tensor made(at::IntArrayRef size, at::IntArrayRef stride, at::ScalarType type) {
    int64_t last = 1;
    for (size_t i = 0; i < size.size(); i++) last = size[i] == 0 ? 0 : (last == 0 ? 0 : last + (size[i] - 1) * stride[i]);
    const size_t bytes = static_cast<size_t>(last) * c10::elementSize(type);
    auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), bytes, memory()->allocate(bytes), memory(), true);
    auto t = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                                      c10::scalarTypeToTypeMeta(type));
    t.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride);
    return t;
}

at::Tensor empty(at::IntArrayRef size, c10::optional<at::ScalarType> type, c10::optional<at::Layout>, c10::optional<at::Device>,
                 c10::optional<bool>, c10::optional<at::MemoryFormat>) {
    std::vector<int64_t> stride(size.size(), 1);
    for (size_t i = size.size(); i-- > 1;) stride[i - 1] = stride[i] * std::max<int64_t>(size[i], 1);
    return made(size, stride, type.value_or(at::kFloat));
}
at::Tensor emptyStrided(at::IntArrayRef size, at::IntArrayRef stride, c10::optional<at::ScalarType> type, c10::optional<at::Layout>,
                        c10::optional<at::Device>, c10::optional<bool>) {
    return made(size, stride, type.value_or(at::kFloat));
}

// The same memory as a tensor of the CPU.
at::Tensor host(const at::Tensor &t) {
    char *base = static_cast<char *>(toHost(t.storage().data_ptr().get()));
    return at::from_blob(base ? base + t.storage_offset() * t.element_size() : nullptr, t.sizes(), t.strides(), at::TensorOptions(t.scalar_type()));
}
bool isOurs(const at::Tensor &t) { return t.defined() && t.device().type() == kind; }

at::Tensor copyFrom(const at::Tensor &from, const at::Tensor &to, bool) {
    at::AutoDispatchBelowAutograd below;
    if (isOurs(from) && !isOurs(to)) waits++;
    (isOurs(to) ? host(to) : to).copy_(isOurs(from) ? host(from) : from);
    return to;
}
at::Tensor asStrided(const at::Tensor &t, at::IntArrayRef size, at::IntArrayRef stride, c10::optional<int64_t> offset) {
    auto view = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(t.storage()), t.key_set(), t.dtype());
    view.unsafeGetTensorImpl()->set_storage_offset(offset.value_or(t.storage_offset()));
    view.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride);
    return view;
}
at::Tensor reshapeAlias(const at::Tensor &t, at::IntArrayRef size, at::IntArrayRef stride) { return asStrided(t, size, stride, c10::nullopt); }
at::Tensor viewed(const at::Tensor &t, at::IntArrayRef size) { return asStrided(t, host(t).view(size).sizes(), host(t).view(size).strides(), c10::nullopt); }
at::Scalar localScalar(const at::Tensor &t) {
    waits++;
    return host(t).item();
}

#if TORCH_VERSION_MAJOR >= 2
// Attention of plain operations: what the CPU would choose is not made for other devices.
int64_t attentionChoice(const at::Tensor &, const at::Tensor &, const at::Tensor &, const c10::optional<at::Tensor> &, double, bool, c10::optional<double>,
                        bool) {
    return 0;
}
#endif

// Any other operation: that of the CPU on the same memory.
void run(const c10::OperatorHandle &op, c10::DispatchKeySet, torch::jit::Stack *stack) {
    operations++;
    const auto &schema = op.schema();
    const size_t count = schema.arguments().size();
    const auto begin = stack->size() - count;
    std::vector<std::pair<at::Tensor, at::Tensor>> given;  // ours, and as the CPU's
    auto take = [&](const at::Tensor &t) {
        if (!t.defined()) return t;
        if (!isOurs(t)) {
            TORCH_CHECK(t.dim() == 0, "the stand-in for a GPU: ", schema.name(), " is given a tensor ", t.sizes(), " of the CPU");
            return t;
        }
        given.emplace_back(t, host(t));
        return given.back().second;
    };
    for (size_t i = begin; i < stack->size(); i++) {
        auto &value = (*stack)[i];
        if (value.isTensor()) {
            value = take(value.toTensor());
        } else if (value.isTensorList()) {
            std::vector<at::Tensor> list;
            for (const at::Tensor &t : value.toTensorVector()) list.push_back(take(t));
            value = c10::List<at::Tensor>(list);
        } else if (value.isOptionalTensorList()) {
            c10::List<c10::optional<at::Tensor>> list;
            for (const c10::optional<at::Tensor> &t : value.toOptionalTensorList()) list.push_back(t ? c10::optional<at::Tensor>(take(*t)) : t);
            value = list;
        } else if (value.isDevice()) {
            value = c10::Device(c10::kCPU);
        }
    }
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
    auto give = [&](const at::Tensor &t) {
        if (!t.defined()) return t;
        for (const auto &[ours, cpu] : given)
            if (cpu.is_same(t)) return ours;
        auto there = made(t.sizes(), t.strides(), t.scalar_type());
        host(there).copy_(t);
        return there;
    };
    for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) {
        auto &value = (*stack)[i];
        if (value.isTensor()) {
            value = give(value.toTensor());
        } else if (value.isTensorList()) {
            std::vector<at::Tensor> list;
            for (const at::Tensor &t : value.toTensorVector()) list.push_back(give(t));
            value = c10::List<at::Tensor>(list);
        }
    }
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run>()); }
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
    m.impl("empty.memory_format", &empty);
    m.impl("empty_strided", &emptyStrided);
    m.impl("_copy_from", &copyFrom);
    m.impl("as_strided", &asStrided);
    m.impl("_reshape_alias", &reshapeAlias);
    m.impl("view", &viewed);
    m.impl("_local_scalar_dense", &localScalar);
#if TORCH_VERSION_MAJOR >= 2
    m.impl("_fused_sdp_choice", &attentionChoice);
#endif
}

// Before any backward pass: what runs these counts devices once.
const bool isInstalled = [] {
    static Guard guard;
    c10::SetAllocator(kind, memory());
    c10::impl::DeviceGuardImplRegistrar(kind, &guard);
#if TORCH_VERSION_MAJOR >= 2
    c10::register_privateuse1_backend("standin");
    at::RegisterPrivateUse1HooksInterface(new Hooks);
#endif
    return true;
}();
}  // namespace

int standin_device(void) { return static_cast<int>(kind); }
int64_t standin_operations(void) { return operations; }
int64_t standin_waits(void) { return waits; }
