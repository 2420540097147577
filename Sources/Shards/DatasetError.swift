import Support

/// What went wrong with a dataset, and where.
public typealias DatasetError = PlacedError<DatasetFailure>

/// The kinds of a `DatasetError`.
public enum DatasetFailure: Sendable, Equatable {
    /// There is no dataset here, or its conversion has not finished.
    case notADataset
    /// A name is taken, or somebody else is writing.
    case occupied
    /// Bytes are not those that were written.
    case damaged
    /// The file says something that cannot be true.
    case inconsistent
    /// A format version or feature that this program does not know.
    case unsupported
    /// An argument cannot be used.
    case usage
    /// The work was stopped by a signal.
    case interrupted
}
