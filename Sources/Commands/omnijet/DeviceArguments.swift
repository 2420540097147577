import ArgumentParser
import Foundation
import Torch

/// Where a model computes.
struct DeviceArguments: ParsableArguments {
    @Option(help: "Where to compute: cpu, cuda or cuda:N; cuda is the GPU of this process's LOCAL_RANK, or the first.")
    var device = "cpu"

    func validate() throws {
        guard Device(device) != nil else { throw ValidationError("--device is cpu, cuda or cuda:N, not '\(device)'") }
    }

    /// What launchers call the number of a process on its machine.
    private static let localRanks = [
        "LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
    ]

    /// The device, which can be used.
    /// - Throws: `TorchError` that says which devices there are.
    func resolved() throws -> Device {
        guard var found = Device(device) else { return .cpu }
        let environment = ProcessInfo.processInfo.environment
        if device == "cuda", let number = Self.localRanks.lazy.compactMap({ environment[$0] }).first.flatMap(Int.init) {
            found = .cuda(number)
        }
        try found.check()
        return found
    }
}
