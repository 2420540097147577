import Glibc

/// A failed system call: which one, on which file, and the operating system's reason.
public typealias SystemError = PlacedError<SystemFailure>

/// The kinds of a `SystemError`.
public enum SystemFailure: Sendable, Equatable {
    /// The operating system's error number.
    case errno(Int32)
    /// The file ended before the bytes that were asked for.
    case truncated
}

extension PlacedError where Code == SystemFailure {
    /// The error that `errno` holds right now, after `operation` on `file` failed.
    public init(errno number: Int32 = Glibc.errno, file: String, operation: String) {
        self.init(
            .errno(number), file: file, message: "cannot \(operation): \(Self.reason(number))",
            advice: Self.advice(number))
    }

    /// The operating system's words for an error number.
    public static func reason(_ number: Int32) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text)
    }

    private static func advice(_ number: Int32) -> String? {
        switch number {
        case ENOSPC: "free some space and run the same command again"
        case EDQUOT: "your quota is used up: free some space and run the same command again"
        case EACCES, EPERM: "check the permissions of the file and of its directory"
        case EROFS: "the file system is read-only: choose another place"
        case EMFILE: "raise the limit of open files (ulimit -n)"
        default: nil
        }
    }
}
