import Support

/// What stops an evaluation, and where.
public typealias EvaluationError = PlacedError<EvaluationFailure>

/// The kinds of an `EvaluationError`.
public enum EvaluationFailure: Sendable, Equatable {
    /// A sample without entries, or with entries that are no finite numbers.
    case sample
    /// Weights that do not fit the sample, are negative, not finite, or sum to nothing.
    case weights
    /// Options that make no sense: no bins, no replicas.
    case options
    /// Points to which no power law can be fitted.
    case fit
    /// A figure that cannot be drawn as it is described.
    case figure
    /// gnuplot is missing or refused a script.
    case gnuplot
}
