import Foundation
import Glibc

/// A file that appears under its name only when it is whole.
///
/// It is written under a temporary name in the same directory, flushed to disk, renamed; then the directory is flushed.
/// If it is dropped before `publish()`, the temporary file is removed. Works where locks do not.
public final class OutputFile {
    /// The name it gets in the end.
    public let path: String
    /// Bytes written so far.
    public private(set) var count = 0
    private let temporary: String
    private var descriptor: Int32

    /// The ending of temporary names, by which left-overs of a killed run are known.
    public static let temporarySuffix = ".tmp"

    /// Begins a file that will be called `path`.
    /// - Throws: `SystemError` if the directory cannot be written.
    public init(path: String) throws(SystemError) {
        self.path = path
        temporary = path + Self.temporarySuffix
        // A left-over of this very name is from a killed run of ours: the directory is claimed by one writer.
        descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "create") }
    }

    deinit {
        discard()
    }

    /// Appends bytes.
    /// - Throws: `SystemError`, with `ENOSPC` on a full disk.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            let written = Glibc.write(descriptor, base + done, bytes.count - done)
            if written > 0 {
                done += written
            } else if written < 0, errno != EINTR {
                throw SystemError(file: path, operation: "write")
            }
        }
        count += done
    }

    /// Appends an array's bytes.
    public func write(_ bytes: [UInt8]) throws(SystemError) {
        var failure: SystemError?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Reads back bytes that were written, before they are published.
    public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) {
        guard let base = buffer.baseAddress else { return }
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, base + done, buffer.count - done, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                throw SystemError(file: path, operation: "read back what was written")
            }
        }
    }

    /// Flushes the file, gives it its name and flushes the directory.
    public func publish() throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw SystemError(file: path, operation: "flush to disk") }
        guard isOurs else {
            throw SystemError(
                .errno(ESTALE), file: path, message: "cannot rename: its temporary file is another process's now",
                advice: "leave the work to that one, or run the same command again")
        }
        // NFS and quota errors come at close.
        guard close(descriptor) == 0 else {
            descriptor = -1
            throw SystemError(file: path, operation: "close")
        }
        descriptor = -1
        guard rename(temporary, path) == 0 else { throw SystemError(file: path, operation: "rename") }
        try Directory.flush(Directory.parent(of: path))
    }

    /// Whether the temporary name still leads to this file: whoever takes a directory over begins its files anew.
    private var isOurs: Bool {
        var own = stat(), named = stat()
        guard fstat(descriptor, &own) == 0, stat(temporary, &named) == 0 else { return false }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    /// Gives the file up and removes it.
    public func discard() {
        guard descriptor >= 0 else { return }
        if isOurs { unlink(temporary) }
        close(descriptor)
        descriptor = -1
    }

    /// Writes a whole small file at once.
    public static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let file = try OutputFile(path: path)
        try file.write(bytes)
        try file.publish()
    }
}

/// Directories: what the standard library leaves out.
public enum Directory {
    /// Flushes a directory, so that names in it survive a power cut. File systems that cannot do it are let off.
    public static func flush(_ path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "open the directory") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS else {
            throw SystemError(file: path, operation: "flush the directory to disk")
        }
    }

    /// Makes a directory; its parents must exist. An existing one is fine.
    public static func make(_ path: String) throws(SystemError) {
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
            throw SystemError(file: path, operation: "make the directory")
        }
    }

    /// The names in a directory, sorted; nil if there is no such directory.
    public static func names(in path: String) throws(SystemError) -> [String]? {
        guard let handle = opendir(path) else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SystemError(file: path, operation: "list the directory")
        }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The directory that holds `path`.
    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whether something of this name exists.
    public static func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    /// The size of a regular file in bytes; nil if there is none that can be asked.
    public static func fileSize(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// Whether this is a directory.
    public static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
