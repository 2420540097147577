import Support

/// What went wrong with a file of tensors, and where in it.
public typealias SafeTensorsError = PlacedError<SafeTensorsFailure>

/// The kinds of a `SafeTensorsError`.
public enum SafeTensorsFailure: Sendable, Equatable {
    /// The file does not begin as a safetensors file does.
    case notSafeTensors
    /// The file is no zip archive, or holds no checkpoint of PyTorch's.
    case notPyTorch
    /// A checkpoint in the form that PyTorch wrote before version 1.6.
    case tooOld
    /// The file ends before something that it promises.
    case truncated
    /// The bytes contradict themselves, the format, a checksum or the file's size.
    case damaged
    /// There is no tensor, state dictionary or member of this name.
    case missing
    /// The bytes are sound as far as they were read, but hold something that this room does not read.
    case unsupported
    /// Reading on would take more memory or depth than an honest file needs.
    case limit
    /// A number has no exact counterpart in the type that was asked for.
    case conversion
    /// The caller asked for something impossible: two tensors of one name, bytes that do not fit a shape.
    case usage
    /// The operating system refused.
    case system(SystemError.Code)
}

extension PlacedError where Code == SafeTensorsFailure {
    init(_ error: SystemError, place: String = "") {
        // A file that shrinks while it is read is cut short, whoever notices.
        self.init(
            error.code == .truncated ? .truncated : .system(error.code), file: error.file,
            place: place.isEmpty ? error.place : place, message: error.message, advice: error.advice)
    }

    /// The same error with the address of what it happened in: the file if it names none yet, and a place before its own.
    func inside(_ place: String, file: String = "") -> SafeTensorsError {
        var error = self
        if error.file.isEmpty { error.file = file }
        if !place.isEmpty { error.place = error.place.isEmpty ? place : "\(place), \(error.place)" }
        return error
    }
}

/// What to do about bytes that contradict themselves.
let copyAgain = "fetch the file again, or compare it with another copy"
