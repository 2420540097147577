import Support

/// What stops a conversion or an export.
public typealias ConvertError = PlacedError<ConvertFailure>

/// The kinds of a `ConvertError`.
public enum ConvertFailure: Sendable, Equatable {
    /// The source schema cannot be used.
    case schema
    /// An input does not fit the schema or cannot be read.
    case input
    /// An argument cannot be used.
    case usage
    /// The work was stopped by a signal.
    case interrupted
}
