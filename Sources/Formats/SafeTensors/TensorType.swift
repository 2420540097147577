/// The types of a tensor's elements, by their names in safetensors files. All are little-endian.
public enum TensorType: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    /// The upper half of an `f32`.
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case i16 = "I16"
    case i8 = "I8"
    case u8 = "U8"
    /// One byte: 0 for false, 1 for true.
    case bool = "BOOL"

    /// Bytes of an element.
    public var size: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16, .i16: 2
        case .i8, .u8, .bool: 1
        }
    }

    /// Where a file's writer puts tensors of this type: larger elements first, so that all are aligned, and types of one size in
    /// the order of the reference implementation, so that its files and ours are the same bytes.
    var order: Int {
        switch self {
        case .i64: 0
        case .f64: 1
        case .f32: 2
        case .i32: 3
        case .bf16: 4
        case .f16: 5
        case .i16: 6
        case .i8: 7
        case .u8: 8
        case .bool: 9
        }
    }
}

/// What a file says of a tensor: name, type and shape. Elements lie one after the other, the last index running fastest.
public struct TensorEntry: Sendable, Hashable {
    /// The name.
    public let name: String
    /// The type of the elements.
    public let type: TensorType
    /// The length of each dimension; none for a single number.
    public let shape: [Int]
    /// How many elements there are.
    public let count: Int

    /// Bytes of all elements.
    public var byteCount: Int { count * type.size }

    /// The entry; nil if the shape is negative somewhere, has more than 64 dimensions, or more bytes than an integer can say.
    public init?(name: String, type: TensorType, shape: [Int]) {
        guard shape.count <= Self.mostDimensions, let count = Self.count(shape, size: type.size) else { return nil }
        self.name = name
        self.type = type
        self.shape = shape
        self.count = count
    }

    /// As PyTorch and NumPy.
    static let mostDimensions = 64

    /// Elements of a shape; nil if they, at `size` bytes each, are beyond what an integer can say.
    static func count(_ shape: [Int], size: Int) -> Int? {
        var count = 1
        for length in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: length)
            guard length >= 0, !overflow else { return nil }
            count = product
        }
        return count.multipliedReportingOverflow(by: size).overflow ? nil : count
    }
}

/// A type of Swift's whose arrays can be written as tensors.
public protocol TensorElement: BitwiseCopyable, Sendable {
    /// The type of a tensor of these.
    static var tensorType: TensorType { get }
}

extension Double: TensorElement { public static var tensorType: TensorType { .f64 } }
extension Float: TensorElement { public static var tensorType: TensorType { .f32 } }
extension Int64: TensorElement { public static var tensorType: TensorType { .i64 } }
extension Int32: TensorElement { public static var tensorType: TensorType { .i32 } }
extension Int16: TensorElement { public static var tensorType: TensorType { .i16 } }
extension Int8: TensorElement { public static var tensorType: TensorType { .i8 } }
extension UInt8: TensorElement { public static var tensorType: TensorType { .u8 } }
extension Bool: TensorElement { public static var tensorType: TensorType { .bool } }
