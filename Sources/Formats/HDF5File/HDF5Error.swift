import Support

/// What went wrong with an HDF5 file, and where in it.
public typealias HDF5Error = PlacedError<HDF5Failure>

/// The kinds of a `HDF5Error`.
public enum HDF5Failure: Sendable, Equatable {
    /// The file does not begin as an HDF5 file does.
    case notHDF5
    /// The file ends before the end that its superblock names.
    case truncated
    /// There is no dataset of this name.
    case missingDataset
    /// The file is fine, but this room cannot read it so.
    case unsupported
    /// A chunk went through a filter that neither this room nor libhdf5 has.
    case unavailableFilter
    /// Bytes that contradict the format, the file's size or a checksum.
    case damaged
    /// libhdf5 refused; the message holds its words.
    case library
    /// The caller asked for something impossible: rows that are not there, buffers that do not fit.
    case usage
    /// The operating system refused.
    case system(SystemError.Code)
}

extension PlacedError where Code == HDF5Failure {
    init(_ error: SystemError, place: String = "") {
        self.init(
            .system(error.code), file: error.file, place: place.isEmpty ? error.place : place, message: error.message,
            advice: error.advice)
    }
}
