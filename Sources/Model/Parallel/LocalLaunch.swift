import Foundation
import Glibc
import Support

/// Starts the processes of a training on this machine, with the variables that launchers set, and stays with them to their end.
public struct LocalLaunch: Sendable {
    /// What to start: a program and its arguments.
    public var command: [String]
    /// How many of them.
    public var ranks: Int
    /// Seconds that the others get to leave by themselves when one has failed.
    public var grace = 10.0
    /// Where the processes meet; nil: at a free port of this machine.
    public var master: Master?
    /// Is given each line that a process writes to its error output.
    public var line: @Sendable (_ rank: Int, _ text: String) -> Void = { _, _ in }

    /// How it ended.
    public struct Outcome: Sendable, Equatable {
        /// The process that failed first; nil if none did.
        public var failed: Int?
        /// Its exit status, or minus the signal that ended it.
        public var status: Int32 = 0
        /// The last error that it printed.
        public var said = ""
    }

    /// A launch of a command.
    public init(_ command: [String], ranks: Int) {
        self.command = command
        self.ranks = ranks
    }

    /// Seconds that are waited for the last lines of processes that have ended.
    private static let drain = 10.0

    /// The variable by which a process knows its launcher.
    static let launcherVariable = "OMNIJET_LAUNCHER"

    /// Ends this process when its launcher is gone, whichever way: nobody else would stop it.
    public static func followLauncher(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard let launcher = environment[launcherVariable].flatMap({ Int32($0) }), launcher == getppid() else { return }
        _ = Self.endWithParent?(Self.parentDeathSignal, UInt(SIGTERM))
        if getppid() != launcher { raise(SIGTERM) }
    }

    /// prctl(2), which the Glibc module does not have, and its `PR_SET_PDEATHSIG`.
    private static let endWithParent: (@convention(c) (Int32, UInt) -> Int32)? = dlsym(nil, "prctl").map {
        unsafeBitCast($0, to: (@convention(c) (Int32, UInt) -> Int32).self)
    }
    private static let parentDeathSignal: Int32 = 1

    /// A port of this machine that nobody listens at.
    package static func freePort() throws -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw SystemError(file: "127.0.0.1", operation: "open a socket") }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, pointer, length) == 0 && getsockname(socket, pointer, &length) == 0
            }
        }
        guard isBound else { throw SystemError(file: "127.0.0.1", operation: "find a free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private struct Child {
        let process: Process
        let errors: Monitor<(lines: [String], isClosed: Bool)>

        var hasFailed: Bool { !process.isRunning && process.terminationStatus != 0 }

        /// The exit status, or minus the signal.
        var status: Int32 {
            process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus
        }
    }

    /// Runs the processes. Signals that `Interruption` hears go to all of them; when one fails the others are asked to leave, and made to.
    /// - Throws: `ModelError` with code `ranks` if one cannot be started; then none is left.
    public func run() throws -> Outcome {
        let address = try master ?? Master(host: "127.0.0.1", port: Self.freePort())
        var children: [Child] = []
        do {
            for rank in 0..<ranks { children.append(try start(rank, address)) }
        } catch {
            for child in children { kill(child.process.processIdentifier, SIGKILL) }
            throw ModelError(.ranks, file: command.first ?? "", message: "cannot be started: \(error)")
        }
        var outcome = Outcome(), isForwarded = false, deadline: ContinuousClock.Instant?, isAsked = false
        let clock = ContinuousClock()
        while true {
            let running = children.filter { $0.process.isRunning }
            if outcome.failed == nil, let (rank, child) = children.enumerated().first(where: { $1.hasFailed }) {
                outcome.failed = rank
                outcome.status = child.status
                deadline = clock.now + .seconds(grace)
            }
            if running.isEmpty { break }
            if !isForwarded, let signal = Interruption.signal {
                isForwarded = true
                for child in running { kill(child.process.processIdentifier, signal) }
            }
            if let end = deadline, clock.now > end {
                // A process that was stopped hears nothing but SIGKILL.
                for child in running { kill(child.process.processIdentifier, isAsked ? SIGKILL : SIGTERM) }
                (isAsked, deadline) = (true, clock.now + .seconds(isAsked ? 3600 : 2))
            }
            usleep(10_000)
        }
        // The last lines of all, which may still be in their pipes. Something that a process has started may keep one open.
        let end = clock.now + .seconds(Self.drain)
        for child in children {
            _ = child.errors.wait(seconds: (end - clock.now) / .seconds(1)) { $0.isClosed ? true : nil }
        }
        if let failed = outcome.failed {
            // The library of arguments writes it with a capital.
            outcome.said =
                children[failed].errors.read { $0.lines.last { $0.contains("error: ") || $0.contains("Error: ") } }
                ?? ""
        }
        return outcome
    }

    private func start(_ rank: Int, _ master: Master) throws -> Child {
        let process = Process(), pipe = Pipe(), errors = Monitor<(lines: [String], isClosed: Bool)>(([], false))
        process.executableURL = URL(fileURLWithPath: command.first ?? "")
        process.arguments = Array(command.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging([
            "RANK": "\(rank)", "WORLD_SIZE": "\(ranks)", "LOCAL_RANK": "\(rank)", "LOCAL_WORLD_SIZE": "\(ranks)",
            "MASTER_ADDR": master.host, "MASTER_PORT": "\(master.port)", Self.launcherVariable: "\(getpid())",
        ]) { $1 }
        process.standardInput = FileHandle.nullDevice
        // What the work gave is printed by rank 0.
        process.standardOutput = rank == 0 ? FileHandle.standardOutput : FileHandle.nullDevice
        process.standardError = pipe
        let line = line
        try process.run()
        try WorkerThread.start {
            var rest: [UInt8] = []
            while true {
                let data = pipe.fileHandleForReading.availableData
                rest += data
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    let text = String(decoding: rest[..<end], as: UTF8.self)
                    rest.removeSubrange(...end)
                    errors.update { $0.lines = $0.lines.suffix(20) + [text] }
                    line(rank, text)
                }
                if data.isEmpty { break }
            }
            errors.update { $0.isClosed = true }
        }
        return Child(process: process, errors: errors)
    }
}
