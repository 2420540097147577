import Foundation
import Glibc
import Support

/// The right to write into a dataset's directory, held by one process at a time.
///
/// A file made with `O_CREAT | O_EXCL`, which works on NFS, EOS and Lustre where locks do not. It names host, process
/// and the process's start, and has a heartbeat, which also says how far the work is. A claim of a process that is gone from
/// this host is taken over; one of another host only if its heartbeat was seen to stand still, or by force. Whoever is taken
/// over although it lives finds out before it publishes anything (`check`).
public final class Claim: Sendable {
    /// The name of the file in the directory.
    public static let fileName = "claim.json"
    /// Seconds from beat to beat, once a claim is some seconds old.
    private static let pause = 10.0

    private struct State: Sendable {
        var isOver = false
        var progress: ClaimProgress
        var begun: ContinuousClock.Instant?
    }

    private let directory: String
    private let path: String
    private let owner: ClaimOwner
    private let state: Monitor<State>

    /// Claims a directory.
    /// - Parameters:
    ///   - force: Take over whatever claim there is.
    ///   - task: Which task of a conversion is done here, `3/8`.
    ///   - watch: How long to watch the heartbeat of a claim of another host before it is taken over; nil: never take it over.
    /// - Throws: `DatasetError` with code `occupied` if another process holds it; `SystemError` if it cannot be written.
    public init(directory: String, force: Bool = false, task: String? = nil, watch: ClaimWatch? = nil) throws {
        self.directory = directory
        path = directory + "/" + Self.fileName
        state = Monitor(State(progress: ClaimProgress(task: task)))
        owner = ClaimOwner(progress: ClaimProgress(task: task))
        if try !create() { try takeOver(force: force, watch: watch) }
        startHeartbeat()
    }

    /// Gives the directory up.
    public func release() {
        state.update { $0.isOver = true }
        guard ClaimOwner.read(path)?.token == owner.token else { return }
        // A process that was killed while it wrote a beat, or took over, left these.
        unlink(path + OutputFile.temporarySuffix)
        unlink(lock)
        unlink(path)
    }

    deinit {
        release()
    }

    /// Tells how far the work is, for the next heartbeat; the first call says how far earlier runs had come.
    public func report(rows: Int, of all: Int) {
        state.update { state in
            if state.begun == nil {
                state.begun = .now
                state.progress.rowsBefore = rows
            }
            state.progress.rows = max(state.progress.rows, rows)
            state.progress.rowsOfAll = all
        }
    }

    /// Makes sure that nobody has taken the directory over, as somebody may who saw no heartbeat for long.
    /// - Throws: `DatasetError` with code `occupied` that names the other one.
    public func check() throws {
        let found = ClaimOwner.read(path)
        if found?.token == owner.token { return }
        // A file that is there and cannot be read says nothing.
        if found == nil, Directory.exists(path) { return }
        throw DatasetError(
            .occupied, file: directory,
            message: "this process had claimed it, but \(found?.name ?? "another process") has taken it over since",
            advice: "leave the work to that one")
    }

    /// Made by whoever takes the directory over, for as long as that lasts.
    private var lock: String { "\(path).takeover\(OutputFile.temporarySuffix)" }

    private func takeOver(force: Bool, watch: ClaimWatch?) throws {
        let other = ClaimOwner.read(path)
        func isDead() -> Bool {
            // Killed between making the file and writing it, which is one breath.
            guard let other else { return watch != nil && (ClaimWatch.age(of: directory) ?? 0) > ClaimWatch.freshness }
            if other.isLocal { return other.isGone }
            return watch?.isSilent(other, in: directory) == true
        }
        guard force || isDead() else {
            if other != nil, try !Directory.exists(path) && create() { return }
            throw DatasetError(
                .occupied, file: directory, message: "\(other?.name ?? "another process") is writing here",
                advice: "wait for it, or if it is dead, run again with --take-over")
        }
        // Of several that saw it dead one goes on; and it looks again, as an earlier one may be done with that.
        if force { unlink(lock) }
        let descriptor = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        defer {
            if descriptor >= 0 {
                close(descriptor)
                unlink(lock)
            }
        }
        let now = ClaimOwner.read(path)
        if descriptor >= 0, force || now?.token == other?.token {
            unlink(path)
            if try create() { return }
        }
        throw DatasetError(
            .occupied, file: directory, message: "another process has just begun to write here",
            advice: "wait for it, or if it is dead, run again with --take-over")
    }

    private func create() throws -> Bool {
        do {
            try Self.write(owner, to: path, flags: O_EXCL)
            return true
        } catch let error as SystemError where error.code == .errno(EEXIST) {
            return false
        }
    }

    /// Writes a claim; what Foundation would write beside it under a name of its own could stay behind after a kill.
    private static func write(_ owner: ClaimOwner, to path: String, flags: Int32) throws {
        let data = try CanonicalJSON.data(owner, pretty: false)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0o666)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "claim the directory") }
        let written = data.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let error = SystemError(file: path, operation: "claim the directory")
        // NFS and quota errors come at close.
        guard close(descriptor) == 0, written == data.count else {
            unlink(path)
            throw error
        }
    }

    private func startHeartbeat() {
        let path = path, owner = owner, state = state
        // Without it the claim only looks older than it is.
        try? WorkerThread.start {
            var beat = owner
            // The first ones come soon: they say how much there is to do, and how fast it goes.
            var pause = 1.0
            while true {
                if state.wait(seconds: pause, until: { $0.isOver ? true : nil }) == true { return }
                pause = min(2 * pause, Self.pause)
                beat.heartbeat += 1
                state.update { state in
                    if let begun = state.begun { state.progress.seconds = begun.duration(to: .now) / .seconds(1) }
                    beat.progress = state.progress
                    guard !state.isOver, ClaimOwner.read(path)?.token == owner.token else { return }
                    let fresh = path + OutputFile.temporarySuffix
                    if (try? Self.write(beat, to: fresh, flags: O_TRUNC)) != nil { rename(fresh, path) }
                }
            }
        }
    }
}
