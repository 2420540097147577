import Support

/// What went wrong with a ROOT file, and where in it.
public typealias ROOTError = PlacedError<ROOTFailure>

/// The kinds of a `ROOTError`.
public enum ROOTFailure: Sendable, Equatable {
    /// The file does not begin as a ROOT file does.
    case notROOT
    /// The bytes end before something that they promise.
    case truncated
    /// The bytes contradict themselves, the format or the file's size.
    case damaged
    /// There is no tree, branch or other object of this name.
    case missing
    /// The bytes are sound as far as they were read, but hold something that this room does not read.
    case unsupported
    /// A compressed block does not decompress, or its checksum does not fit.
    case codec
    /// The caller asked for something impossible: entries that are not there, buffers that do not fit.
    case usage
    /// The operating system refused.
    case system(SystemError.Code)
}

extension PlacedError where Code == ROOTFailure {
    init(_ error: SystemError, place: String = "") {
        self.init(
            .system(error.code), file: error.file, place: place.isEmpty ? error.place : place, message: error.message,
            advice: error.advice)
    }

    /// The same error with the address of what it happened in: the file if it names none yet, and a place before its own.
    func inside(_ place: String, file: String = "") -> ROOTError {
        var error = self
        if error.file.isEmpty { error.file = file }
        if !place.isEmpty { error.place = error.place.isEmpty ? place : "\(place), \(error.place)" }
        return error
    }
}
