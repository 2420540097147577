import ArgumentParser
import Glibc
import Loader
import Model
import Support
import Terminal
import Torch

/// Which of several processes this is, and where they meet.
struct RankArguments: ParsableArguments {
    @Option(
        help: "The number of this process among those that train together; default: as the launcher's variables say.")
    var rank: Int?
    @Option(help: "How many processes train together.")
    var worldSize: Int?
    @Option(help: "Where rank 0 listens, HOST:PORT; default: MASTER_ADDR and MASTER_PORT.")
    var master: String?
    @Option(help: "Seconds that processes wait for each other at the beginning.")
    var joinTimeout = 300.0
    @Option(help: "Seconds without a sign of life after which a process counts as dead.")
    var silence = 30.0
    @Option(
        help:
            "Seconds that a process may keep the others waiting, such as rank 0 by writing a checkpoint; then its training counts as hanging."
    )
    var longestWait = 600.0
    @Flag(
        inversion: .prefixedNo,
        help: "Send gradients while the backward pass runs on; or all behind it, to see what that saves.")
    var overlap = true

    func validate() throws {
        guard (rank == nil) == (worldSize == nil) else { throw ValidationError("--rank and --world-size go together") }
        guard (1...1e6).contains(joinTimeout), (1...1e6).contains(silence), (1...1e6).contains(longestWait)
        else {
            throw ValidationError("--join-timeout, --silence and --longest-wait are 1 to 1000000 s")
        }
    }

    /// Meets the other processes, if there are any.
    /// - Parameters:
    ///   - device: Where the model will be.
    ///   - configuration: What is to be trained.
    func world(device: () throws -> Device, configuration: () throws -> TrainingConfiguration) throws -> World {
        LocalLaunch.followLauncher()
        var explicit: Rank?
        if let rank, let worldSize { explicit = try Rank(rank, of: worldSize) }
        let (found, warning) = try resolveRank(explicit: explicit)
        if let warning { Console.warning(warning) }
        guard found.size > 1 else { return .single }
        var options = World.Options(master: try master.map { try Master($0) } ?? Master())
        (options.joining, options.silence, options.longest) = (joinTimeout, silence, longestWait)
        options.overlaps = overlap
        options.remark = { Console.note($0) }
        options.abandon = { fault in
            Console.error(fault)
            _exit(1)
        }
        let world = try World(found, options, device: device, configuration: configuration)
        if world.isFirst { Console.note("\(found), meeting at \(options.master)") }
        return world
    }
}
