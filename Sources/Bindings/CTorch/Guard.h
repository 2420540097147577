// What the files of this target share: from C++ exceptions to messages, from handles to tensors.
#pragma once
#include "CTorch.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <exception>
#include <string>
#include <utility>

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else  // Debian's lies off the default path.
#include <torch/csrc/api/include/torch/version.h>
#endif
#define CT_V2 (TORCH_VERSION_MAJOR >= 2)

namespace ct {
int fail(const char *what) noexcept;

// c10::Error is the base of all of libtorch's; its what() has a kilobyte of C++ frames.
template <class Body> int guard(Body &&body) noexcept {
    try {
        body();
        return 0;
    } catch (const c10::Error &error) {
        return fail(error.what_without_backtrace());
    } catch (const std::exception &error) {
        return fail(error.what());
    } catch (...) {
        return fail("an unknown C++ exception");
    }
}

inline const at::Tensor &ref(ct_tensor t) { return *reinterpret_cast<const at::Tensor *>(t); }
inline ct_tensor own(at::Tensor t) { return reinterpret_cast<ct_tensor>(new at::Tensor(std::move(t))); }
inline at::ScalarType scalar(int dtype) { return static_cast<at::ScalarType>(dtype); }
template <class Body> int make(ct_tensor *out, Body &&body) noexcept {
    return guard([&] { *out = own(body()); });
}
}  // namespace ct
