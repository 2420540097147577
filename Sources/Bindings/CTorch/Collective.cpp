// Processes that work together: c10d's key-value store and process groups, and gradients that are summed while a backward pass runs on.
#include "Guard.h"

// Without the macros these headers are empty. libtorch's own packages bring no headers of Gloo, and those for CPUs no NCCL.
#if __has_include(<gloo/transport/device.h>)
#define USE_C10D_GLOO
#endif
#if defined(CT_CUDA) && __has_include(<nccl.h>)
#define USE_C10D_NCCL
#endif
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

using namespace ct;

namespace {
#if CT_V2
using Group = c10d::Backend;
#else
using Group = c10d::ProcessGroup;
#endif
using Work = c10::intrusive_ptr<c10d::Work>;

std::chrono::milliseconds milliseconds(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)); }

// Whether work is done; throws what it failed with.
bool isDone(const Work &work) {
    if (!work->isCompleted()) return false;
    if (!work->isSuccess()) std::rethrow_exception(work->exception());
    // Of GPUs only the streams wait.
    work->synchronize();
    return true;
}

// Adds up a tensor over all processes, in place.
Work startSum(Group &group, const at::Tensor &tensor) {
    std::vector<at::Tensor> tensors{tensor};
    return group.allreduce(tensors);
}

// Gloo waits for the addresses of others as long as for any sum; with this store not longer than processes wait for each other at the beginning.
struct JoiningStore : c10d::PrefixStore {
    JoiningStore(const c10::intrusive_ptr<c10d::Store> &store, std::chrono::milliseconds limit) : PrefixStore("gloo", store), limit(limit) {}
    using c10d::PrefixStore::wait;
    void wait(const std::vector<std::string> &keys, const std::chrono::milliseconds &timeout) override {
        PrefixStore::wait(keys, std::min(limit, timeout));
    }
    std::chrono::milliseconds limit;
};
}  // namespace

struct ct_store_ {
    c10::intrusive_ptr<c10d::Store> store;
};
struct ct_group_ {
    c10::intrusive_ptr<Group> group;
    bool isOfGPUs;
};
struct ct_work_ {
    Work work;
};

// MARK: store

int ct_store_open(const char *host, int port, int is_master, double timeout, ct_store *out) {
    return guard([&] {
        c10d::TCPStoreOptions options;
        options.port = static_cast<uint16_t>(port);
        options.isServer = is_master != 0;
        options.waitWorkers = false;
        options.timeout = milliseconds(timeout);
        *out = new ct_store_{c10::make_intrusive<c10d::TCPStore>(host, options)};
    });
}
void ct_store_close(ct_store store) { delete store; }
int ct_store_set(ct_store store, const char *key, const void *data, size_t bytes) {
    return guard([&] {
        const auto *begin = static_cast<const uint8_t *>(data);
        store->store->set(key, std::vector<uint8_t>(begin, begin + bytes));
    });
}
int ct_store_set_once(ct_store store, const char *key, const void *data, size_t bytes) {
    return guard([&] {
        const auto *begin = static_cast<const uint8_t *>(data);
        store->store->compareSet(key, {}, std::vector<uint8_t>(begin, begin + bytes));
    });
}
int ct_store_get(ct_store store, const char *key, void **data, size_t *bytes) {
    return guard([&] {
        *data = nullptr;
        *bytes = 0;
        if (!store->store->check({key})) return;
        const auto value = store->store->get(key);
        void *copy = std::malloc(std::max<size_t>(value.size(), 1));
        TORCH_CHECK(copy, "no memory for the value of ", key);
        std::memcpy(copy, value.data(), value.size());
        *data = copy;
        *bytes = value.size();
    });
}
int ct_store_add(ct_store store, const char *key, int64_t amount, int64_t *sum) {
    return guard([&] { *sum = store->store->add(key, amount); });
}

int ct_way(const char *host, int port, char *own, char *theirs, size_t room) {
    return guard([&] {
        addrinfo hints{}, *found = nullptr;
        hints.ai_socktype = SOCK_DGRAM;
        const int status = getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
        TORCH_CHECK(status == 0, host, ": ", gai_strerror(status));
        const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
        for (const addrinfo *one = found; one; one = one->ai_next) {
            const int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
            if (fd < 0) continue;
            // Connecting a datagram socket sends nothing; it only chooses a way.
            sockaddr_storage end{};
            socklen_t length = sizeof end;
            const auto write = [room](const sockaddr *from, socklen_t length, char *to) {
                return getnameinfo(from, length, to, static_cast<socklen_t>(room), nullptr, 0, NI_NUMERICHOST) == 0;
            };
            const bool isKnown = connect(fd, one->ai_addr, one->ai_addrlen) == 0 && getsockname(fd, reinterpret_cast<sockaddr *>(&end), &length) == 0 &&
                                 write(reinterpret_cast<sockaddr *>(&end), length, own) && write(one->ai_addr, one->ai_addrlen, theirs);
            close(fd);
            if (isKnown) return;
        }
        TORCH_CHECK(false, host, ": no interface of this machine leads there");
    });
}

// MARK: group

int ct_has_nccl(void) {
#ifdef USE_C10D_NCCL
    return 1;
#else
    return 0;
#endif
}

int ct_group_open(ct_store store, const char *backend, const char *address, int rank, int size, double timeout, double joining, ct_group *out) {
    return guard([&] {
        const std::string kind = backend;
        if (kind == "nccl") {
#ifdef USE_C10D_NCCL
            auto options = c10d::ProcessGroupNCCL::Options::create();
            options->timeout = milliseconds(timeout);
            const c10::intrusive_ptr<c10d::Store> own = c10::make_intrusive<c10d::PrefixStore>("nccl", store->store);
            *out = new ct_group_{c10::make_intrusive<c10d::ProcessGroupNCCL>(own, rank, size, options), true};
            return;
#else
            TORCH_CHECK(false, "this build has no NCCL; build with LIBTORCH_CUDA=1 where nccl.h and CUDA's headers are found");
#endif
        }
#ifdef USE_C10D_GLOO
        auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout));
        const char *interface = std::getenv("GLOO_SOCKET_IFNAME");
        options->devices.push_back(interface && *interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                                           : c10d::ProcessGroupGloo::createDeviceForHostname(address));
        *out = new ct_group_{c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<JoiningStore>(store->store, milliseconds(joining)), rank, size, options), false};
#else
        TORCH_CHECK(false, "this build has no Gloo; install libgloo-dev and build again");
#endif
    });
}
void ct_group_close(ct_group group) { delete group; }
int ct_group_sum(ct_group group, ct_tensor tensor, ct_work *out) {
    return guard([&] { *out = new ct_work_{startSum(*group->group, ref(tensor))}; });
}
int ct_group_broadcast(ct_group group, ct_tensor tensor, int root, ct_work *out) {
    return guard([&] {
        std::vector<at::Tensor> tensors{ref(tensor).detach()};
        c10d::BroadcastOptions options;
        options.rootRank = root;
        *out = new ct_work_{group->group->broadcast(tensors, options)};
    });
}
int ct_work_done(ct_work work, int *done) {
    return guard([&] { *done = isDone(work->work); });
}
void ct_work_free(ct_work work) { delete work; }

// MARK: gradients

namespace {
// Gradients of some parameters, one behind the other.
struct Bucket {
    std::vector<size_t> members;
    at::Tensor flat;
    size_t missing = 0;
    Work work;
};

struct Buckets {
    c10::intrusive_ptr<Group> group;
    std::vector<at::Tensor> parameters;
    std::vector<size_t> bucketOf;
    std::vector<int64_t> offsets;
    std::vector<Bucket> buckets;
    // They keep the hooks: a parameter itself holds its accumulator weakly.
    // Shared pointers in libtorch 1.13, intrusive ones in 2.13.
    std::vector<decltype(torch::autograd::impl::grad_accumulator(std::declval<at::Tensor>()))> accumulators;
    std::mutex mutex;  // Backward passes of GPUs run on threads of their own.
    std::vector<char> isReady;
    size_t next = 0;
    bool isArmed = false;
    bool overlaps = true;
    at::Tensor present;
    Work presence;

    void arm() {
        std::lock_guard<std::mutex> lock(mutex);
        isReady.assign(parameters.size(), 0);
        for (auto &bucket : buckets) bucket.missing = bucket.members.size();
        next = 0;
        isArmed = true;
    }

    // A gradient is whole. Buckets go out in one order on all processes, whatever the order of gradients.
    void take(size_t parameter) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!isArmed || isReady[parameter]) return;
        put(parameter);
        if (overlaps) startReady();
    }

    void put(size_t parameter) {
        at::NoGradGuard no_grad;
        auto &bucket = buckets[bucketOf[parameter]];
        const auto &gradient = parameters[parameter].grad();
        auto place = bucket.flat.narrow(0, offsets[parameter], parameters[parameter].numel());
        if (gradient.defined()) {
            place.copy_(gradient.reshape({-1}));
        } else {
            place.zero_();
        }
        isReady[parameter] = 1;
        bucket.missing--;
    }

    void startReady() {
        while (next < buckets.size() && buckets[next].missing == 0) {
            buckets[next].work = startSum(*group, buckets[next].flat);
            next++;
        }
    }

    // The rest: gradients that the last backward pass did not touch, here or at all.
    void flush() {
        std::lock_guard<std::mutex> lock(mutex);
        for (size_t i = 0; i < parameters.size(); i++)
            if (!isReady[i]) put(i);
        startReady();
        isArmed = false;
        std::vector<float> own(parameters.size());
        for (size_t i = 0; i < parameters.size(); i++) own[i] = parameters[i].grad().defined() ? 1.0f : 0.0f;
        present.copy_(at::tensor(own));
        presence = startSum(*group, present);
    }

    bool done() {
        for (const auto &bucket : buckets)
            if (!isDone(bucket.work)) return false;
        return isDone(presence);
    }

    // A parameter without gradient on all processes has none: optimizers leave it alone, as they would in one process.
    void apply() {
        at::NoGradGuard no_grad;
        const auto anywhere = present.to(at::kCPU);
        for (size_t i = 0; i < parameters.size(); i++) {
            if (anywhere[static_cast<int64_t>(i)].item().toFloat() == 0) continue;
            const auto flat = buckets[bucketOf[i]].flat.narrow(0, offsets[i], parameters[i].numel());
            parameters[i].mutable_grad() = flat.view(parameters[i].sizes()).to(parameters[i].device());
        }
        for (auto &bucket : buckets) bucket.work.reset();
        presence.reset();
    }
};
}  // namespace

struct ct_buckets_ {
    std::shared_ptr<Buckets> state;
};

int ct_buckets_open(ct_group group, const ct_tensor *parameters, size_t count, size_t bytes, int overlaps, ct_buckets *out) {
    return guard([&] {
        auto state = std::make_shared<Buckets>();
        state->group = group->group;
        state->overlaps = overlaps != 0;
        state->bucketOf.resize(count);
        state->offsets.resize(count);
        for (size_t i = 0; i < count; i++) state->parameters.push_back(ref(parameters[i]));
        TORCH_CHECK(count > 0, "no parameters");
        // Gradients come from the last layer to the first one.
        size_t filled = bytes;
        for (size_t i = count; i-- > 0;) {
            const auto &parameter = state->parameters[i];
            TORCH_CHECK(parameter.scalar_type() == at::kFloat, "parameters are float32");
            const size_t own = parameter.numel() * sizeof(float);
            if (filled + own > bytes) {
                state->buckets.emplace_back();
                filled = 0;
            }
            auto &bucket = state->buckets.back();
            state->bucketOf[i] = state->buckets.size() - 1;
            state->offsets[i] = static_cast<int64_t>(filled / sizeof(float));
            bucket.members.push_back(i);
            filled += own;
        }
        // Gloo sums in the memory of the CPU, whatever the device.
        const auto options = group->isOfGPUs ? state->parameters[0].options().requires_grad(false) : at::TensorOptions(at::kFloat);
        for (auto &bucket : state->buckets) {
            int64_t numbers = 0;
            for (size_t i : bucket.members) numbers += state->parameters[i].numel();
            bucket.flat = at::zeros({numbers}, options);
        }
        state->present = at::zeros({static_cast<int64_t>(count)}, options);
        const std::weak_ptr<Buckets> weak = state;
        for (size_t i = 0; i < count; i++) {
            auto accumulator = torch::autograd::impl::grad_accumulator(state->parameters[i]);
            TORCH_CHECK(accumulator, "a parameter without gradient");
            accumulator->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
                [weak, i](const std::vector<at::Tensor> &outputs, const std::vector<at::Tensor> &) {
                    if (auto state = weak.lock()) state->take(i);
                    return outputs;
                }));
            state->accumulators.push_back(std::move(accumulator));
        }
        *out = new ct_buckets_{state};
    });
}
void ct_buckets_close(ct_buckets buckets) { delete buckets; }
int ct_buckets_arm(ct_buckets buckets) {
    return guard([&] { buckets->state->arm(); });
}
int ct_buckets_flush(ct_buckets buckets) {
    return guard([&] { buckets->state->flush(); });
}
int ct_buckets_done(ct_buckets buckets, int *done) {
    return guard([&] { *done = buckets->state->done(); });
}
int ct_buckets_apply(ct_buckets buckets) {
    return guard([&] { buckets->state->apply(); });
}
