import Support

/// What is wrong with a model, its weights or its inputs.
public typealias ModelError = PlacedError<ModelFailure>

/// The kinds of a `ModelError`.
public enum ModelFailure: Sendable, Equatable {
    /// A configuration that makes no sense.
    case configuration
    /// Weights of another architecture, or damaged ones.
    case weights
    /// Inputs that the model does not take: tokens out of range, jets without constituents.
    case input
    /// Training that went wrong: a loss that is no number.
    case training
    /// A directory of a run that another process writes into.
    case occupied
    /// Processes that were to work together and cannot, or one of them that is gone.
    case ranks
}
