import Support

/// What is wrong with an Arrow file, or with what was to be written to one.
public typealias ArrowError = PlacedError<ArrowFailure>

/// The kinds of a `ArrowError`.
public enum ArrowFailure: Sendable, Equatable {
    /// The bytes do not begin as an Arrow IPC file does.
    case notArrow
    /// The bytes end before something that they promise.
    case truncated
    /// The bytes contradict themselves or the format.
    case damaged
    /// The bytes are sound as far as they were read, but hold something that this reader does not know.
    case unsupported
    /// A compressed buffer does not decompress, or its checksum does not fit.
    case codec
    /// The caller asked for something that cannot be: a column out of range, buffers that do not fit the rows.
    case invalid
    /// The file could not be opened or mapped.
    case system(SystemError.Code)
}

extension PlacedError where Code == ArrowFailure {
    init(_ error: SystemError) {
        self.init(
            .system(error.code), file: error.file, place: error.place, message: error.message, advice: error.advice)
    }
}

/// Where in a file we are, for the errors that may come up there.
struct Address: Sendable {
    var file = ""
    var place = ""

    func error(_ code: ArrowError.Code, _ message: String, advice: String? = nil) -> ArrowError {
        ArrowError(code, file: file, place: place, message: message, advice: advice)
    }

    /// An address within this one.
    func inside(_ part: String) -> Address {
        Address(file: file, place: place.isEmpty ? part : "\(place), \(part)")
    }
}
