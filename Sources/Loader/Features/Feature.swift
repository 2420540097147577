/// A function of the raw value of a feature, with its inverse.
public enum FeatureFunction: String, Codable, Sendable {
    /// The value itself.
    case identity
    /// The natural logarithm; its inverse is exp.
    case log
}

/// Edges of bins; a value becomes the centre of its bin.
public enum FeatureBinning: Sendable, Equatable {
    /// So many equidistant edges from start to stop, both included: one bin less than edges.
    case uniform(start: Double, stop: Double, edges: Int)
    /// The edges themselves, growing.
    case edges([Double])

    /// All edges.
    var all: [Double] {
        switch self {
        case .edges(let edges): return edges
        case .uniform(let start, let stop, let count):
            let step = (stop - start) / Double(max(1, count - 1))
            // As numpy.linspace: the last edge is exact.
            return (0..<max(0, count)).map { $0 == count - 1 ? stop : start + Double($0) * step }
        }
    }
}

/// One entry of the list of features: which number of a constituent, and what is done to it.
///
/// In this order: cuts on the raw value (a constituent that fails one cut of any feature goes), function, binning, clip,
/// then `(x - subtractBy) * multiplyBy`. A NaN fails every cut that is applied to it; it goes through all else as NaN.
///
/// In JSON: `{"name": "part_pt", "func": "log", "inv_func": "exp", "larger_than": 0.5, "smaller_than": 1000,
/// "binning": [start, stop, edges], "bin_edges": [...], "clip_min": 0, "clip_max": 1, "subtract_by": 1.8,
/// "multiply_by": 1}`, all but the name optional.
public struct Feature: Sendable, Equatable {
    /// The name: one of `FeatureAssembler.knownNames`, or a stored field of constituents.
    public var name: String
    /// Applied to the raw value.
    public var function: FeatureFunction
    /// Constituents stay only if the raw value is larger.
    public var largerThan: Double?
    /// Constituents stay only if the raw value is smaller.
    public var smallerThan: Double?
    /// Bins, after the function.
    public var binning: FeatureBinning?
    /// Smaller values become this one, after function and binning.
    public var clipMin: Double?
    /// Larger values become this one.
    public var clipMax: Double?
    /// Subtracted after clipping.
    public var subtractBy: Double
    /// Multiplied last.
    public var multiplyBy: Double

    /// A feature from its parts; `FeatureConfiguration` checks them.
    public init(
        _ name: String, function: FeatureFunction = .identity, largerThan: Double? = nil, smallerThan: Double? = nil,
        binning: FeatureBinning? = nil, clipMin: Double? = nil, clipMax: Double? = nil, subtractBy: Double = 0,
        multiplyBy: Double = 1
    ) {
        self.name = name
        self.function = function
        self.largerThan = largerThan
        self.smallerThan = smallerThan
        self.binning = binning
        self.clipMin = clipMin
        self.clipMax = clipMax
        self.subtractBy = subtractBy
        self.multiplyBy = multiplyBy
    }

    func failure(_ message: String) -> LoaderError { LoaderError(.feature, place: "feature \(name)", message: message) }

    func check() throws(LoaderError) {
        let numbers = [largerThan, smallerThan, clipMin, clipMax, subtractBy, multiplyBy]
        if numbers.contains(where: { $0?.isNaN == true }) || !subtractBy.isFinite || !multiplyBy.isFinite {
            throw failure("a number is not finite")
        }
        if multiplyBy == 0 { throw failure("multiply_by is 0, which has no inverse") }
        if let clipMin, let clipMax, clipMin > clipMax {
            throw failure("clip_min \(clipMin) is larger than clip_max \(clipMax)")
        }
        if let binning {
            if case .uniform(_, _, let count) = binning, count > 1 << 20 {
                throw failure("\(count) edges are too many")
            }
            let edges = binning.all
            guard edges.count >= 2, edges.allSatisfy(\.isFinite), zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 })
            else { throw failure("binning needs two or more finite edges, each larger than the one before") }
        }
    }
}
