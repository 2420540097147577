// Where tensors are: the CPU, or a GPU.
#include "Devices.h"

#if CT_V2 && __has_include(<c10/core/CachingDeviceAllocator.h>)
#include <c10/core/CachingDeviceAllocator.h>
// Libraries before 2.9 have the header, but not this class in it.
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 9
#define CT_DEVICE_STATISTICS
#endif
#endif

#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>
#include <string>

using namespace ct;

namespace {
// Tests run beside each other, so these are a thread's own.
thread_local bool prefersGeneric = false;
thread_local int standsForGPUs = -1;

std::string found() {
    const int count = ct_cuda_devices();
    if (count > 0) return "there is cpu and cuda:0" + (count > 1 ? " to cuda:" + std::to_string(count - 1) : std::string());
    return at::detail::getCUDAHooks().hasCUDART() ? "there is cpu only: this libtorch is for GPUs, but finds none (see nvidia-smi, CUDA_VISIBLE_DEVICES)"
                         : "there is cpu only: this libtorch is not for GPUs (build with LIBTORCH and LIBTORCH_CUDA=1)";
}
}  // namespace

at::Device ct::place(int device) {
    if (device < 0) return at::Device(at::kCPU);
    const auto kind = standsForGPUs < 0 ? at::kCUDA : static_cast<at::DeviceType>(standsForGPUs);
    TORCH_CHECK(kind != at::kCUDA || device < ct_cuda_devices(), "cuda:", device, " is not there; ", found());
    return at::Device(kind, static_cast<c10::DeviceIndex>(device));
}

bool ct::isGeneric(const at::Tensor &t) { return prefersGeneric || !t.device().is_cpu(); }

at::Tensor ct::upload(const void *data, at::IntArrayRef shape, at::ScalarType type, at::Device device) {
    // Copies from pinned memory do not wait for the device; libtorch does not give this memory to others before they are done.
    auto host = at::empty(shape, at::TensorOptions(type).pinned_memory(device.is_cuda()));
    if (host.numel() > 0) std::memcpy(host.data_ptr(), data, host.nbytes());
    return device.is_cpu() ? host : host.to(device, type, true);
}

int ct_prefer_generic(int on) { return std::exchange(prefersGeneric, on != 0); }
int ct_take_for_gpus(int type) { return std::exchange(standsForGPUs, type); }

int ct_cuda_devices(void) { return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().getNumGPUs()) : 0; }
int ct_check_device(int device) {
    return guard([&] {
        const auto where = place(device);
        // What is not a tensor's, such as pinned memory, belongs to the current device; without this it would be the first one's.
        if (where.is_cuda()) c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(where);
    });
}
int ct_device(ct_tensor t) { return ref(t).device().is_cpu() ? CT_CPU : static_cast<int>(ref(t).device().index()); }
int ct_synchronize(int device) {
    return guard([&] {
        const auto where = place(device);
        if (where.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(where.index());
    });
}
int ct_peak_memory(int device, int64_t *bytes) {
    return guard([&] {
        *bytes = -1;
        const auto where = place(device);
        if (!where.is_cuda()) return;
#ifdef CT_DEVICE_STATISTICS
        auto *allocator = dynamic_cast<c10::DeviceAllocator *>(c10::GetAllocator(at::kCUDA));
        if (!allocator || !allocator->initialized()) return;
        *bytes = allocator->getDeviceStats(where.index()).allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
#endif
    });
}

int ct_to_device(ct_tensor t, int device, ct_tensor *out) {
    return make(out, [&] {
        const auto where = place(device);
        const auto &x = ref(t);
        if (x.device() == where) return x;
        return x.device().is_cpu() && where.is_cuda() && !x.requires_grad() ? x.pin_memory().to(where, x.scalar_type(), true) : x.to(where);
    });
}
