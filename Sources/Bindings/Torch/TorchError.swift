/// What libtorch refused: the operation, the shapes that went in, and its own words.
public struct TorchError: Error, Sendable, CustomStringConvertible {
    /// The operation, by PyTorch's name.
    public let operation: String
    /// Shapes of the tensors that went in.
    public let shapes: [[Int]]
    /// What was wrong.
    public let message: String

    /// An error from its parts.
    public init(operation: String, shapes: [[Int]] = [], message: String) {
        self.operation = operation
        self.shapes = shapes
        self.message = message
    }

    public var description: String {
        let inputs = shapes.map { "[" + $0.map(String.init).joined(separator: ", ") + "]" }.joined(separator: " and ")
        return inputs.isEmpty ? "\(operation): \(message)" : "\(operation) of \(inputs): \(message)"
    }
}
