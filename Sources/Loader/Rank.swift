import Foundation

/// Which of how many processes this is: each takes its part of every global batch.
public struct Rank: Sendable, Equatable, CustomStringConvertible {
    /// The number of this process, from 0 on.
    public let rank: Int
    /// How many processes there are.
    public let size: Int
    /// Where the numbers come from: names of variables, `arguments` or `single process`.
    public let origin: String
    /// What other variables say that were not taken and differ; nil if none does.
    public let disagreement: String?

    /// Explicit numbers; rank must be in 0 ..< size.
    public init(_ rank: Int, of size: Int) throws(LoaderError) {
        try self.init(rank, of: size, origin: "arguments")
    }

    /// This process alone.
    public static let single = Rank(unchecked: 0, of: 1, origin: "single process", disagreement: nil)

    /// `rank 0 of 8 (RANK, WORLD_SIZE)`
    public var description: String {
        "rank \(rank) of \(size) (\(origin)\(disagreement.map { "; \($0)" } ?? ""))"
    }

    /// Numbers that somebody else knows: `origin` says who.
    package init(_ rank: Int, of size: Int, origin: String) throws(LoaderError) {
        guard size >= 1, rank >= 0, rank < size else {
            throw LoaderError(
                .rank, place: origin, message: "rank \(rank) of \(size), expected a rank in 0 ..< size",
                advice: "pass rank and world size")
        }
        self.init(unchecked: rank, of: size, origin: origin, disagreement: nil)
    }

    private init(unchecked rank: Int, of size: Int, origin: String, disagreement: String?) {
        self.rank = rank
        self.size = size
        self.origin = origin
        self.disagreement = disagreement
    }

    func disagreeing(_ text: String?) -> Rank {
        Rank(unchecked: rank, of: size, origin: origin, disagreement: text)
    }
}

/// Finds rank and world size: explicit numbers, else the first of `RANK`/`WORLD_SIZE` (torchrun), `OMPI_COMM_WORLD_*`
/// (Open MPI), `SLURM_PROCID`/`SLURM_STEP_NUM_TASKS` inside a step that `srun` started, `PMI_RANK`/`PMI_SIZE` (MPICH,
/// Intel MPI), else a single process.
///
/// A level that is only half there, or does not make sense, is an error and never a reason to go on to the next. Local
/// ranks (`LOCAL_RANK`, `SLURM_LOCALID`) choose a device and are never read.
///
/// - Parameters:
///   - environment: the variables of this process.
///   - explicit: what the user said; wins.
///   - isInteractive: whether stdin is a terminal: then this is not one of the tasks of a step.
/// - Returns: the rank, and a line to print if Slurm has several tasks but this process is none of them.
/// - Throws: `LoaderError` with code `rank`; also for a task of Slurm that is not the first one and cannot be told from a shell.
public func resolveRank(
    environment: [String: String] = ProcessInfo.processInfo.environment, explicit: Rank? = nil,
    isInteractive: Bool = isatty(0) == 1
) throws(LoaderError) -> (rank: Rank, warning: String?) {
    let launch = Launch(environment: environment, isInteractive: isInteractive)
    for level in Launch.Level.allCases.indices {
        var found = explicit
        if found == nil { found = try launch.rank(of: Launch.Level.allCases[level]) }
        guard let found else { continue }
        // Levels that were not taken are only mentioned: torchrun under srun leaves the node's number in SLURM_PROCID.
        let others = Launch.Level.allCases[(explicit == nil ? level + 1 : 0)...].compactMap { try? launch.rank(of: $0) }
        let different = others.filter { $0.rank != found.rank || $0.size != found.size }
        let text = different.map { "\($0.origin) say \($0.rank) of \($0.size)" }.joined(separator: "; ")
        return (found.disagreeing(text.isEmpty ? nil : text), nil)
    }
    return (.single, try launch.warning())
}

/// What launchers left in the environment.
private struct Launch {
    enum Level: CaseIterable {
        // Before Slurm: the children of torchrun and of Open MPI's daemons have the SLURM_PROCID of their node.
        case environment, openMPI, slurm, pmi

        var names: (rank: String, size: String) {
            switch self {
            case .environment: ("RANK", "WORLD_SIZE")
            case .openMPI: ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
            case .slurm: ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
            case .pmi: ("PMI_RANK", "PMI_SIZE")
            }
        }
    }

    let environment: [String: String]
    let isInteractive: Bool

    /// The rank that a level gives; nil if it is not there.
    func rank(of level: Level) throws(LoaderError) -> Rank? {
        let (rank, size) = level.names
        if level == .slurm, !isSlurmStep { return nil }
        switch (try number(rank), try number(size)) {
        case (nil, nil): return nil
        case (nil, _): throw half(size, without: rank)
        case (_, nil): throw half(rank, without: size)
        case (let number?, let count?):
            let found = try Rank(number, of: count, origin: "\(rank), \(size)")
            if level == .slurm, let allocated = try self.number("SLURM_NTASKS"), count > allocated {
                // A job that was submitted from inside a step inherits the step's variables.
                throw LoaderError(
                    .rank, place: "SLURM_STEP_NUM_TASKS, SLURM_NTASKS",
                    message: "a step of \(count) tasks in an allocation of \(allocated)",
                    advice: "these are of another job; pass rank and world size")
            }
            return found
        }
    }

    /// Whether `srun` started this process as a task. The script of a batch job has SLURM_PROCID=0 and SLURM_NTASKS, but
    /// is one process; so is a shell that `srun --pty` started, whose variables look like those of a task.
    private var isSlurmStep: Bool {
        guard !isInteractive, environment["SLURM_PTY_PORT"] == nil, let tasks = environment["SLURM_STEP_NUM_TASKS"]
        else { return false }
        // A shell of an interactive job is a step of one task; the steps that are started from there inherit the job's name.
        return Int(tasks) != 1 || !["bash", "interactive"].contains(environment["SLURM_JOB_NAME"])
    }

    /// Why one process of many is taken for a single one.
    /// - Throws: `LoaderError` with code `rank` if it is not the first one: each of them would do all of the work.
    func warning() throws(LoaderError) -> String? {
        guard let text = environment["SLURM_NTASKS"], let tasks = Int(text), tasks > 1 else { return nil }
        if let task = environment["SLURM_PROCID"].flatMap({ Int($0) }), task > 0 {
            let reason =
                isInteractive
                ? "standard input is a terminal"
                : environment["SLURM_PTY_PORT"] != nil
                    ? "SLURM_PTY_PORT is set, as in a shell of srun --pty" : "SLURM_STEP_NUM_TASKS is not set"
            throw LoaderError(
                .rank, place: "SLURM_PROCID, SLURM_NTASKS",
                message: "task \(task) of \(tasks), but taken for none of a step: \(reason)",
                advice: "pass rank and world size, or start with srun from a batch script or salloc")
        }
        return "SLURM_NTASKS=\(tasks), but this process was not started by srun: running as a single process; "
            + "pass rank and world size, or start with srun"
    }

    private func number(_ name: String) throws(LoaderError) -> Int? {
        guard let text = environment[name] else { return nil }
        guard let number = Int(text) else {
            throw LoaderError(
                .rank, place: name, message: "'\(text)' is not a whole number", advice: "pass rank and world size")
        }
        return number
    }

    private func half(_ name: String, without other: String) -> LoaderError {
        LoaderError(
            .rank, place: "\(name), \(other)", message: "\(name) is set, but \(other) is not",
            advice: "set both or none, or pass rank and world size")
    }
}
