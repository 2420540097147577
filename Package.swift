// swift-tools-version: 6.1
import PackageDescription

// LIBTORCH=<prefix> builds against another libtorch than Debian's: <prefix>/include and <prefix>/lib. Only what trains or generates links it.
let libtorch = Context.environment["LIBTORCH"].flatMap { $0.isEmpty ? nil : $0 }
var torchHeaders: [CXXSetting] = []
var torchLibraries: [LinkerSetting] = [.linkedLibrary("torch_cpu"), .linkedLibrary("c10")]
if let libtorch {
    torchHeaders = [
        .unsafeFlags([
            "-isystem", libtorch + "/include", "-isystem", libtorch + "/include/torch/csrc/api/include",
            // As C++20, clang takes headers of other targets for modules, which nobody has compiled.
            "-fno-cxx-modules",
        ])
    ]
    // By their paths: other packages put the system's folder first, where Debian's may lie.
    let library = { (name: String) in ["-Xlinker", "\(libtorch)/lib/lib\(name).so"] }
    var flags = library("torch_cpu") + library("c10") + ["-Xlinker", "-rpath", "-Xlinker", libtorch + "/lib"]
    if Context.environment["LIBTORCH_CUDA"] == "1" {
        // Its kernels register themselves when it is loaded; nothing names it.
        flags += ["-Xlinker", "--no-as-needed"] + library("torch_cuda") + library("c10_cuda")
        flags += ["-Xlinker", "--as-needed"]
        // Processes on GPUs exchange gradients over NCCL, if its header and CUDA's are found.
        torchHeaders.append(.define("CT_CUDA"))
    }
    torchLibraries = [.unsafeFlags(flags)]
}

let package = Package(
    name: "pando",
    products: [
        .library(name: "ArrowIPC", targets: ["ArrowIPC"]),
        .library(name: "HDF5File", targets: ["HDF5File"]),
        .library(name: "ROOTFile", targets: ["ROOTFile"]),
        .library(name: "SafeTensors", targets: ["SafeTensors"]),
        .library(name: "Shards", targets: ["Shards"]),
        .library(name: "Convert", targets: ["Convert"]),
        .library(name: "Loader", targets: ["Loader"]),
        .library(name: "Evaluation", targets: ["Evaluation"]),
        .library(name: "PandoC", type: .dynamic, targets: ["PandoC"]),
        .executable(name: "pando", targets: ["pando"]),
        .executable(name: "omnijet", targets: ["omnijet"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
    ],
    targets: [
        // Tools: arguments, progress, exit codes; no logic.
        .executableTarget(
            name: "pando",
            dependencies: [
                "Terminal", "Evaluation", "Convert", "Loader", "Shards", "ArrowIPC", "HDF5File", "ROOTFile", "Support",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Commands/pando"
        ),
        .executableTarget(
            name: "omnijet",
            dependencies: [
                "Terminal", "Model", "Torch", "Evaluation", "Convert", "Loader", "Shards", "Support",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Commands/omnijet"
        ),
        .target(name: "Terminal", dependencies: ["Support"], path: "Sources/Commands/Terminal"),

        // Rooms, top to bottom; arrows go down only (docs/architecture.md).
        .target(
            name: "Convert",
            dependencies: ["Shards", "ArrowIPC", "HDF5File", "ROOTFile", "Kernels", "Support", "CDeflate"],
            resources: [.embedInCode("Resources")]
        ),
        .target(name: "Loader", dependencies: ["Shards", "ArrowIPC", "Kernels", "Support"]),
        .target(name: "Evaluation", dependencies: ["FastJet", "Loader", "Shards", "Kernels", "Support"]),
        .target(name: "Shards", dependencies: ["ArrowIPC", "Kernels", "Support"]),
        .target(
            name: "ArrowIPC",
            dependencies: ["Support", "CZstd", "CLZ4"],
            path: "Sources/Formats/ArrowIPC"
        ),
        .target(
            name: "HDF5File",
            dependencies: ["Support", "Kernels", "CHDF5", "CDeflate"],
            path: "Sources/Formats/HDF5File"
        ),
        .target(
            name: "ROOTFile",
            dependencies: ["Support", "Kernels", "CDeflate", "CLZMA", "CLZ4", "CZstd", "CXXHash"],
            path: "Sources/Formats/ROOTFile"
        ),
        .target(name: "SafeTensors", dependencies: ["Support", "CDeflate"], path: "Sources/Formats/SafeTensors"),
        .target(name: "Support", dependencies: ["CXXHash"]),
        .target(name: "Kernels"),

        // C, and with it Python.
        .target(name: "CPando", path: "Sources/Bindings/CPando"),
        .target(
            name: "PandoC", dependencies: ["CPando", "Loader", "Shards", "ArrowIPC", "Support"],
            path: "Sources/Bindings/PandoC", exclude: ["exports.map"]),

        // FastJet.
        .target(
            name: "CFastJet", path: "Sources/Bindings/CFastJet", linkerSettings: [.linkedLibrary("fastjet")]),
        .target(name: "FastJet", dependencies: ["CFastJet"], path: "Sources/Bindings/FastJet"),

        // libtorch.
        .target(
            name: "CTorch", dependencies: ["Kernels"], path: "Sources/Bindings/CTorch", cxxSettings: torchHeaders,
            linkerSettings: torchLibraries),
        .target(name: "Torch", dependencies: ["CTorch"], path: "Sources/Bindings/Torch"),
        .target(
            name: "Model",
            dependencies: ["Torch", "Evaluation", "Loader", "Convert", "Shards", "SafeTensors", "Support"]),

        // System libraries.
        .systemLibrary(
            name: "CZstd", path: "Sources/Bindings/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CLZ4", path: "Sources/Bindings/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CDeflate", path: "Sources/Bindings/CDeflate", pkgConfig: "libdeflate",
            providers: [.apt(["libdeflate-dev"])]),
        .systemLibrary(
            name: "CLZMA", path: "Sources/Bindings/CLZMA", pkgConfig: "liblzma",
            providers: [.apt(["liblzma-dev"])]),
        .systemLibrary(
            name: "CXXHash", path: "Sources/Bindings/CXXHash", pkgConfig: "libxxhash",
            providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(
            name: "CHDF5", path: "Sources/Bindings/CHDF5", pkgConfig: "hdf5",
            providers: [.apt(["libhdf5-dev"])]),

        .executableTarget(name: "training-loop", dependencies: ["Loader"], path: "examples/training-loop"),
        .executableTarget(name: "read-root", dependencies: ["ROOTFile"], path: "examples/read-root"),

        .target(name: "TestSupport", path: "Tests/TestSupport"),
        .target(name: "Allocations", path: "Tests/Probe/Allocations"),
        .executableTarget(
            name: "loader-probe", dependencies: ["Loader", "Shards", "Support", "Allocations"],
            path: "Tests/Probe/loader-probe"),
        .executableTarget(
            name: "scale-probe", dependencies: ["Loader", "Shards", "Support"], path: "Tests/Probe/scale-probe"),
        .target(name: "ProcessGuard", path: "Tests/Probe/ProcessGuard"),
        .executableTarget(
            name: "evaluation-probe", dependencies: ["Evaluation"], path: "Tests/Probe/evaluation-probe"),
        .executableTarget(
            name: "root-fuzz", dependencies: ["ROOTFile", "Support", "TestSupport", "ProcessGuard"],
            path: "Tests/Probe/root-fuzz"),
        .testTarget(name: "SupportTests", dependencies: ["Support", "TestSupport"]),
        .testTarget(name: "KernelsTests", dependencies: ["Kernels", "Support", "TestSupport"]),
        .testTarget(name: "ArrowIPCTests", dependencies: ["ArrowIPC", "Support"]),
        .testTarget(name: "HDF5FileTests", dependencies: ["HDF5File", "Support"]),
        .testTarget(
            name: "ROOTFileTests",
            dependencies: [
                "ROOTFile", "Support", "TestSupport", "CDeflate", "CLZMA", "CLZ4", "CZstd", "CXXHash",
            ]),
        .testTarget(name: "SafeTensorsTests", dependencies: ["SafeTensors", "Support", "TestSupport", "CDeflate"]),
        .testTarget(name: "ShardsTests", dependencies: ["Shards", "Convert", "ArrowIPC", "Support", "TestSupport"]),
        .testTarget(
            name: "ConvertTests", dependencies: ["Convert", "Shards", "ArrowIPC", "HDF5File", "Support", "TestSupport"]),
        .testTarget(
            name: "LoaderTests",
            dependencies: [
                "Loader", "Convert", "Shards", "ArrowIPC", "HDF5File", "Kernels", "Support", "TestSupport",
            ]),
        // A device for machines without a GPU.
        .target(
            name: "StandIn", dependencies: ["CTorch"], path: "Tests/StandIn", cxxSettings: torchHeaders,
            linkerSettings: torchLibraries),
        .testTarget(
            name: "ModelTests",
            dependencies: [
                "Model", "Torch", "StandIn", "Loader", "Convert", "Shards", "SafeTensors", "Support", "TestSupport",
            ]),
        .testTarget(
            name: "EvaluationTests",
            dependencies: [
                "Evaluation", "FastJet", "Convert", "Loader", "Shards", "SafeTensors", "Kernels", "Support",
                "TestSupport",
            ]),
        .testTarget(name: "ToolTests", dependencies: ["Shards", "Support", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    // libtorch 1.13 is C++17 only, 2.x C++20 only.
    cxxLanguageStandard: libtorch == nil ? .cxx17 : .cxx20
)
