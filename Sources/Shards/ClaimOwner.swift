import Foundation
import Glibc
import Support

/// How far the owner of a claim is, as its last heartbeat told.
public struct ClaimProgress: Codable, Sendable, Equatable {
    /// Which task of a conversion is done here, `3/8`; nil if it is no task.
    public var task: String?
    /// Rows done, with those of earlier runs.
    public var rows: Int
    /// Rows that the whole will have; nil until the inputs have been looked at.
    public var rowsOfAll: Int?
    /// Rows that earlier runs had done.
    public var rowsBefore: Int
    /// Seconds of this run since then, by the owner's clock.
    public var seconds: Double

    /// The progress of work that has just begun.
    public init(task: String? = nil) {
        self.task = task
        (rows, rowsBefore, seconds) = (0, 0, 0)
    }

    /// Whether these are numbers to reckon with: a file may say anything.
    var isSensible: Bool {
        let sane = 0..<1 << 48
        return sane.contains(rows) && sane.contains(rowsOfAll ?? 0) && (0...rows).contains(rowsBefore)
            && seconds >= 0 && seconds < 1e12
    }
}

/// Who has claimed a directory: what `claim.json` says.
public struct ClaimOwner: Codable, Sendable, Equatable {
    /// The name of the host.
    public var host: String
    /// The process, in its host's numbering.
    public var process: Int32
    /// When the process was started, in clock ticks since its host's boot.
    var started: String
    /// The process's namespace of process numbers: a container may have another one on the same host. Nil in claims of older
    /// programs.
    var namespace: String?
    /// A random number: no two claims have the same.
    public var token: String
    /// Counts up while the owner lives.
    public var heartbeat: Int
    /// How far it is; nil in claims of older programs.
    public var progress: ClaimProgress?

    /// This process, with a new token.
    init(progress: ClaimProgress?) {
        host = Self.localHost
        process = getpid()
        started = Self.start(of: getpid()) ?? ""
        namespace = Self.localNamespace
        token = String(UInt64.random(in: .min ... .max), radix: 16)
        heartbeat = 0
        self.progress = progress
    }

    /// Who has claimed a directory; nil if nobody has, or the file cannot be understood.
    public init?(directory: String) {
        guard let found = Self.read("\(directory)/\(Claim.fileName)") else { return nil }
        self = found
    }

    static func read(_ path: String) -> ClaimOwner? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        guard var owner = try? JSONDecoder().decode(ClaimOwner.self, from: data) else { return nil }
        if owner.progress?.isSensible == false { owner.progress = nil }
        return owner
    }

    /// Reads a file that may have been made and not be written yet.
    /// - Returns: Nil if there is no such file, or it cannot be understood for far longer than writing it takes.
    static func readOnceWritten(_ path: String) -> ClaimOwner? {
        var waited = 0.0
        while Directory.exists(path) {
            if let found = read(path) { return found }
            guard waited < breath else { return nil }
            usleep(50_000)
            waited += 0.05
        }
        return nil
    }

    /// How long a claim that was made may stay unwritten, in seconds: some hundred bytes, on a busy network's file system too.
    private static let breath = 3.0

    /// `process 17 on host node3`
    public var name: String { "process \(process) on host \(host)" }

    /// Whether the owner's process can be looked up from here by its number.
    var isLocal: Bool {
        host == Self.localHost && (namespace == nil || namespace == Self.localNamespace)
    }

    /// Whether the owner was a process of this host that has ended since.
    var isGone: Bool { isLocal && Self.start(of: process) != started }

    private static var localHost: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static var localNamespace: String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")
    }

    /// When a process was started, in clock ticks since boot; nil if there is no such process, or only what its parent has not
    /// collected yet: in a container whose first process collects nothing, that stays.
    private static func start(of process: Int32) -> String? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
        // The name in brackets may hold anything; fields are counted from behind it. The start is field 22.
        let text = String(decoding: data, as: UTF8.self)
        guard let bracket = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: bracket)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return String(fields[19])
    }
}

/// Finds out whether the owners of claims are alive.
///
/// A process of this host is looked up. Of other hosts only the heartbeat tells, and clocks of hosts differ: a claim that was
/// written less than 90 s ago (beats come every 10 s, and a client of NFS may see a name 60 s late) counts as alive, and of any
/// other the heartbeat must be seen to move.
public struct ClaimWatch: Sendable {
    /// A claim that is younger by the clocks at hand needs no watching, in seconds.
    static let freshness = 90.0
    /// Seconds for which the heartbeat of another host's claim must stand still before its work is taken over: beats come every
    /// 10 s, and NFS may show them late by up to 60 s.
    public static let silence = 75.0
    /// How long heartbeats are watched, in seconds.
    public var patience: Double
    /// Whether the watching should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A watch; more than two beats are waited for unless told otherwise.
    public init(patience: Double = 25) {
        self.patience = patience
    }

    /// Whether each of these claims is alive: nil where the directory is claimed no more.
    public func look(at directories: [String]) -> [Bool?] {
        let before = directories.map { ClaimOwner(directory: $0) }
        var found = before.indices.map { index -> Bool? in
            guard let owner = before[index], !owner.isGone else { return before[index] == nil ? nil : false }
            return Self.age(of: directories[index]).map { abs($0) < Self.freshness } == true
        }
        // What is neither gone nor fresh is open.
        var open = before.indices.filter { found[$0] == false && before[$0]?.isGone == false }
        var waited = 0.0
        while !open.isEmpty, waited < patience, !isInterrupted() {
            let pause = min(0.25, patience - waited)
            usleep(UInt32(max(0, pause) * 1_000_000))
            waited += pause
            open.removeAll { index in
                guard let now = ClaimOwner(directory: directories[index]) else {
                    // Between two names of a rename that another host sees late, or given up.
                    guard !Directory.exists("\(directories[index])/\(Claim.fileName)") else { return false }
                    found[index] = nil
                    return true
                }
                guard now.heartbeat != before[index]?.heartbeat || now.token != before[index]?.token else {
                    return false
                }
                found[index] = true
                return true
            }
        }
        return found
    }

    /// Whether the heartbeat in a file stands still for as long as this watch is patient.
    /// - Returns: False at once when it moves, or the file is gone.
    func isSilent(_ owner: ClaimOwner, in file: String) -> Bool {
        var waited = 0.0
        while waited < patience, !isInterrupted() {
            let pause = min(0.25, patience - waited)
            usleep(UInt32(max(0, pause) * 1_000_000))
            waited += pause
            if let now = ClaimOwner.read(file) {
                guard now.token == owner.token, now.heartbeat == owner.heartbeat else { return false }
            } else if !Directory.exists(file) {
                return false
            }
        }
        return !isInterrupted()
    }

    /// Seconds since a claim was written, by the clocks of this host and of the file system; nil if there is none.
    static func age(of directory: String) -> Double? {
        guard let file = try? InputFile(path: "\(directory)/\(Claim.fileName)") else { return nil }
        return Date().timeIntervalSince1970 - Double(file.modified) * 1e-9
    }
}
