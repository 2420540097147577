import Foundation
import Glibc
import Support

/// The right to write into a dataset's directory, held by one process at a time.
///
/// A file made with `O_CREAT | O_EXCL`, which works on NFS, EOS and Lustre where locks do not. It names host, process
/// and the process's start, and a heartbeat. A claim of a process that is gone from this host is taken over; one of
/// another host is reported with how to clear it.
public final class Claim: Sendable {
    /// The name of the file in the directory.
    public static let fileName = "claim.json"

    private struct Owner: Codable, Equatable {
        var host: String
        var process: Int32
        var started: String
        var token: String
        var heartbeat: Int
    }

    private let path: String
    private let owner: Owner
    private let stopped = Monitor(false)

    /// Claims a directory.
    /// - Parameter force: Take over whatever claim there is.
    /// - Throws: `DatasetError` with code `occupied` if another process holds it; `SystemError` if it cannot be written.
    public init(directory: String, force: Bool = false) throws {
        path = directory + "/" + Self.fileName
        owner = Owner(
            host: Self.host, process: getpid(), started: Self.start(of: getpid()) ?? "",
            token: String(UInt64.random(in: .min ... .max), radix: 16), heartbeat: 0)
        if try !create() {
            let other = Self.read(path)
            guard force || other.map(Self.isGone) ?? false else {
                let who = other.map { "process \($0.process) on host \($0.host)" } ?? "another process"
                throw DatasetError(
                    .occupied, file: directory, message: "\(who) is writing here",
                    advice: "wait for it, or if it is dead, run again with --take-over")
            }
            unlink(path)
            guard try create() else {
                throw DatasetError(.occupied, file: directory, message: "another process has just begun to write here")
            }
        }
        startHeartbeat()
    }

    /// Gives the directory up.
    public func release() {
        stopped.update { $0 = true }
        if Self.read(path)?.token == owner.token { unlink(path) }
    }

    deinit {
        release()
    }

    private func create() throws -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            if errno == EEXIST { return false }
            throw SystemError(file: path, operation: "claim the directory")
        }
        defer { close(descriptor) }
        let data = try CanonicalJSON.data(owner, pretty: false)
        let written = data.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == data.count else {
            let error = SystemError(file: path, operation: "claim the directory")
            unlink(path)
            throw error
        }
        return true
    }

    private func startHeartbeat() {
        let path = path, owner = owner, stopped = stopped
        // Without it the claim only looks older than it is.
        try? WorkerThread.start {
            var beat = owner
            while true {
                // Short sleeps, so that a finished program is not held up.
                for _ in 0..<100 {
                    if stopped.read({ $0 }) { return }
                    usleep(100_000)
                }
                beat.heartbeat += 1
                stopped.update { done in
                    guard !done, Self.read(path)?.token == owner.token,
                        let data = try? CanonicalJSON.data(beat, pretty: false)
                    else { return }
                    let fresh = path + OutputFile.temporarySuffix
                    if FileManager.default.createFile(atPath: fresh, contents: data) { rename(fresh, path) }
                }
            }
        }
    }

    private static func read(_ path: String) -> Owner? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try? JSONDecoder().decode(Owner.self, from: data)
    }

    /// Whether the owner was a process of this host that has ended since.
    private static func isGone(_ owner: Owner) -> Bool {
        owner.host == host && start(of: owner.process) != owner.started
    }

    private static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// When a process was started, in clock ticks since boot; nil if there is no such process.
    private static func start(of process: Int32) -> String? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
        // The name in brackets may hold anything; fields are counted from behind it. The start is field 22.
        let text = String(decoding: data, as: UTF8.self)
        guard let bracket = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: bracket)...].split(separator: " ")
        return fields.count > 19 ? String(fields[19]) : nil
    }
}
