import Glibc

/// A file opened for reading by position, from any number of threads.
public final class InputFile: Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The size when it was opened, in bytes.
    public let size: Int
    /// The modification time when it was opened, in nanoseconds since 1970: a hint, never proof.
    public let modified: Int64
    private let descriptor: Int32

    /// Opens `path` for reading.
    /// - Throws: `SystemError` if it cannot be opened or is not a regular file.
    public init(path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(file: path, operation: "open") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = SystemError(file: path, operation: "ask for the size")
            close(descriptor)
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw SystemError(.errno(EINVAL), file: path, message: "is not a regular file")
        }
        self.path = path
        self.descriptor = descriptor
        size = Int(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }

    deinit {
        close(descriptor)
    }

    /// Whether it still has the size that it had when it was opened.
    public var isUnchanged: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && Int(status.st_size) == size
    }

    /// Fills `buffer` from `offset` on.
    /// - Throws: `SystemError` with code `truncated` if the file ends before the buffer is full.
    public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) {
        guard let base = buffer.baseAddress else { return }
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, base + done, buffer.count - done, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 {
                throw SystemError(
                    .truncated, file: path, place: "bytes \(offset)..<\(offset + buffer.count)",
                    message: "the file ends after \(offset + done) bytes", advice: "it was cut short: get a new copy")
            } else if errno != EINTR {
                throw SystemError(file: path, operation: "read \(buffer.count) bytes at \(offset)")
            }
        }
    }

    /// The bytes from `offset` on. `count` must have been compared with the file's size before.
    public func read(at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
        guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
            throw SystemError(
                .truncated, file: path, place: "\(count) bytes at \(offset)", message: "the file has \(size) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: SystemError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(SystemError) { try read(at: offset, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// The whole content. For files that are small by their nature; `limit` refuses others.
    public func readAll(limit: Int = 1 << 30) throws(SystemError) -> [UInt8] {
        guard size <= limit else {
            throw SystemError(.errno(EFBIG), file: path, message: "\(size) bytes are more than the \(limit) expected")
        }
        return try read(at: 0, count: size)
    }

    /// What is going to happen to a stretch of the file.
    public enum Advice: Sendable {
        /// It will be read soon: the system may begin to.
        case willNeed
        /// It will not be read again: the system may drop its copy.
        case dontNeed
    }

    /// Tells the system what is going to happen to some bytes; nothing comes of it where the system cannot use it.
    public func advise(_ advice: Advice, at offset: Int, count: Int) {
        let number = advice == .willNeed ? POSIX_FADV_WILLNEED : POSIX_FADV_DONTNEED
        _ = posix_fadvise(descriptor, off_t(offset), off_t(count), number)
    }

    /// Whether the file lies on a disk of this machine, so that mapping it is safe. False on network and user-space file
    /// systems, where a page may fail to come.
    public var isLocal: Bool { FileSystem.isLocal(descriptor) }

    /// Maps the whole file read-only.
    public func map() throws(SystemError) -> MappedFile {
        try MappedFile(path: path, descriptor: descriptor, size: size)
    }
}

/// A file mapped read-only.
///
/// Published files are immutable; touching pages of one that was cut short afterwards ends the process with SIGBUS. Use
/// `InputFile.read` where that can happen (network file systems).
///
/// `@unchecked Sendable`: the mapping is read-only and lives as long as the object.
public final class MappedFile: @unchecked Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The file's bytes.
    public let bytes: UnsafeRawBufferPointer

    fileprivate init(path: String, descriptor: Int32, size: Int) throws(SystemError) {
        self.path = path
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let address = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), address != MAP_FAILED else {
            throw SystemError(file: path, operation: "map")
        }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    /// Brings pages into memory, so that those that cannot be read are an error here and no signal later.
    ///
    /// Kernels before Linux 5.14 cannot do it; then nothing happens.
    /// - Throws: `SystemError` if a page cannot be read, as behind the end of a file that was cut short, or if `range` leads
    ///   outside.
    public func populate(_ range: Range<Int>) throws(SystemError) {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count, let base = bytes.baseAddress else {
            throw SystemError(
                .truncated, file: path, place: "bytes \(range)", message: "the mapping has \(bytes.count) bytes")
        }
        let page = Int(getpagesize())
        let start = range.lowerBound / page * page
        // MADV_POPULATE_READ, younger than some headers.
        let populateRead: Int32 = 22
        guard madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, populateRead) != 0,
            errno != EINVAL
        else { return }
        throw SystemError(file: path, operation: "read bytes \(range)")
    }

    /// Says that this mapping does not need the pages that lie in a range, so that the system may drop its copy of them.
    /// They can still be used, and come back then.
    public func release(_ range: Range<Int>) {
        let page = Int(getpagesize()), inside = range.clamped(to: 0..<bytes.count)
        let start = (inside.lowerBound + page - 1) / page * page, end = inside.upperBound / page * page
        guard start < end, let base = bytes.baseAddress else { return }
        _ = madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, MADV_DONTNEED)
    }

    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
