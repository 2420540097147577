import Support

/// What cannot be observed, and where.
public typealias ObservableError = PlacedError<ObservableFailure>

/// The kinds of an `ObservableError`.
public enum ObservableFailure: Sendable, Equatable {
    /// Options that contradict themselves or the dataset.
    case options
    /// Columns of constituents that do not fit each other, or jets that are too large.
    case input
    /// Stopped on request.
    case interrupted
}
