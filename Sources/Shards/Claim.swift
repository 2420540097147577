import Foundation
import Glibc
import Support

/// The right to write into a dataset's directory, held by one process at a time.
///
/// A file that only one process can make, also on NFS, EOS and Lustre where locks do not work: written under a name of its own
/// and then linked, or made with `O_CREAT | O_EXCL` where there are no links. It names host, process and the process's start,
/// and has a heartbeat, which also says how far the work is. A claim of a process that is gone from
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
        guard holds(path) else { return }
        // Processes that were killed while they claimed, wrote a beat, or took over, left such files.
        let names = (try? Directory.names(in: directory)) ?? []
        for name in names where name.hasPrefix(Self.fileName) && name != Self.fileName {
            unlink("\(directory)/\(name)")
        }
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
        let other = ClaimOwner.readOnceWritten(path)
        guard force || isLeft(path, by: other, watch) else {
            if try !Directory.exists(path) && create() { return }
            throw occupied(by: ClaimOwner.read(path), "is writing here")
        }
        // Of several that saw it dead one goes on; and it looks again, as an earlier one may be done with that.
        if force || isLeft(lock, by: ClaimOwner.readOnceWritten(lock), watch) { unlink(lock) }
        guard try create(lock) else { throw occupied() }
        defer { if holds(lock) { unlink(lock) } }
        guard force || ClaimOwner.read(path)?.token == other?.token else { throw occupied() }
        unlink(path)
        // Two may have found the same lock left by a third, and the later one may have removed the earlier one's new lock:
        // that one gives way. Whoever still has the lock now was seen by all that look behind it.
        guard try create(), force || holds(lock) else { throw occupied() }
    }

    /// Whether nobody lives who made a file: a claim, or the right to take one over.
    /// - Parameter owner: Who that is; nil if the file is not to be understood although there was time to write it. Whoever made
    ///   it was killed within that breath, or will find out when it wants to publish (`check`).
    private func isLeft(_ file: String, by owner: ClaimOwner?, _ watch: ClaimWatch?) -> Bool {
        guard let owner else { return Directory.exists(file) }
        return owner.isLocal ? owner.isGone : watch?.isSilent(owner, in: file) == true
    }

    private func holds(_ file: String) -> Bool { ClaimOwner.read(file)?.token == owner.token }

    private func occupied(by other: ClaimOwner? = nil, _ what: String = "has just begun to write here") -> DatasetError
    {
        DatasetError(
            .occupied, file: directory, message: "\(other?.name ?? "another process") \(what)",
            advice: "wait for it, or if it is dead, run again with --take-over")
    }

    private func create(_ file: String? = nil) throws -> Bool {
        let file = file ?? path, own = "\(path).\(owner.token)\(OutputFile.temporarySuffix)"
        try Self.write(owner, to: own, flags: O_TRUNC)
        defer { unlink(own) }
        if link(own, file) == 0 { return true }
        switch errno {
        case EEXIST:
            // The answer to the first request may have been lost, and a second one been sent.
            return holds(file)
        case ENOENT:
            // Cleared away by one that was just giving the directory up.
            return false
        default:
            do {
                try Self.write(owner, to: file, flags: O_EXCL)
                return true
            } catch let error as SystemError where error.code == .errno(EEXIST) {
                return false
            }
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
