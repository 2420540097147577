import Support

/// What stops a loader, and where.
public typealias LoaderError = PlacedError<LoaderFailure>

/// The kinds of a `LoaderError`.
public enum LoaderFailure: Sendable, Equatable {
    /// Options that contradict themselves or the dataset.
    case options
    /// Rank and world size that do not fit, or launcher variables that cannot be read.
    case rank
    /// A feature that does not exist, or whose entry makes no sense.
    case feature
    /// A state of another dataset or of other options.
    case state
    /// A record batch that cannot be read; the message says which.
    case data
}
