import Foundation

/// A metric of one strategy against the size of the training, as the scaling study shows it.
public struct ScalingSeries: Codable, Sendable {
    /// The strategy: `fine-tuned`, `from scratch`.
    public var name: String
    /// A point for each size.
    public var points: [ScalingPoint]
    /// The power law of the sizes that are not saturated; nil where none can be fitted.
    public var law: PowerLaw?

    /// A series with its law.
    /// - Parameter floor: The metric between halves of the reference.
    public init(_ name: String, _ points: [ScalingPoint], weighting: PowerLaw.Weighting = .equal, floor: Double? = nil)
    {
        self.name = name
        self.points = points.sorted { $0.size < $1.size }
        // Three points or fewer, or a metric that is infinite for small trainings, have no law; that is no failure of
        // the study.
        law = try? PowerLaw(fitting: points, weighting: weighting, floor: floor)
    }

    /// Points of several sizes out of comparisons with the same reference, by their rows' names.
    /// - Returns: Points with a finite metric, and the sizes of those without.
    public static func points(
        _ metric: Metric, of sizes: [(size: Double, row: Comparison.Row)]
    ) -> (points: [ScalingPoint], missing: [Double]) {
        var points: [ScalingPoint] = [], missing: [Double] = []
        for (size, row) in sizes {
            guard let found = row[metric], found.value.isFinite else {
                missing.append(size)
                continue
            }
            points.append(
                ScalingPoint(size: size, value: found.value, error: found.error.isFinite ? found.error : nil))
        }
        return (points, missing)
    }
}

extension FigurePanel {
    /// Distributions of an observable: the reference filled, others as lines in the palette's colours, ratios below.
    /// - Parameters:
    ///   - edges: Edges of the bins; nil: `usualEdges` of the reference. Entries outside go into the first and last
    ///     bin.
    ///   - dotted: Names of those that are shown dotted in black: data that are no model.
    ///   - colors: Colours of the others that are not dotted; nil: the palette.
    /// - Throws: `EvaluationError` with code `figure` for edges that do not ascend.
    public static func distribution(
        of quantity: Quantity, reference: NamedEntries, others: [NamedEntries], edges: [Double]? = nil,
        dotted: Set<String> = [], colors: [FigureColor]? = nil, ratio: RatioPanel? = RatioPanel(),
        isLogarithmic: Bool = false, title: FigureText? = nil
    ) throws -> FigurePanel {
        let edges = edges ?? usualEdges(of: quantity, reference.values)
        func histogram(_ entries: NamedEntries) throws -> Histogram {
            try Histogram(entries.values, edges: edges, clipping: true)
        }
        var layers: [FigureLayer] = [.histogram(try histogram(reference), .reference(FigureText(reference.name)))]
        var next = 0
        for entries in others {
            let isDotted = dotted.contains(entries.name), colors = colors ?? FigureColor.palette
            let color = isDotted || colors.isEmpty ? .black : colors[next % colors.count]
            next += isDotted ? 0 : 1
            layers.append(
                .histogram(
                    try histogram(entries),
                    FigureStyle(FigureText(entries.name), color: color, line: isDotted ? .dotted : .solid)))
        }
        return FigurePanel(
            title, x: .of(quantity), y: .density(of: quantity, isLogarithmic: isLogarithmic), layers: layers,
            ratio: ratio)
    }

    /// A metric against the size of the training, both logarithmic: points with bands, laws dashed over the sizes they
    /// were fitted to.
    /// - Parameter floor: The metric between halves of the reference, with the ends of its uncertainty.
    public static func scaling(
        _ metric: Metric, of quantity: Quantity, _ series: [ScalingSeries], floor: ClosedRange<Double>? = nil,
        title: FigureText? = nil
    ) -> FigurePanel {
        var layers: [FigureLayer] = floor.map { [.band($0, FigureStyle("floor", color: .grey))] } ?? []
        for (index, one) in series.enumerated() {
            let color = FigureColor.number(index)
            if let law = one.law {
                let ends = [law.sizes.lowerBound, law.sizes.upperBound].map { FigurePoint($0, law.value(at: $0)) }
                layers.append(.curve(ends, FigureStyle(color: color, line: .dashed)))
            }
            layers.append(
                .points(
                    one.points.map { FigurePoint($0.size, $0.value, error: $0.error ?? 0) },
                    FigureStyle(FigureText(one.name), color: color, hasMarks: true, hasBand: true)))
        }
        let label = metric == .wasserstein ? FigureText(markup: "{/:Italic W}_1") : FigureText(metric.label)
        return FigurePanel(
            title, x: Axis("training jets", isLogarithmic: true),
            y: Axis(label, unit: metric.hasUnit ? quantity.unit : "", isLogarithmic: true), layers: layers)
    }

    /// Bins that show nearly all of some entries: bins of whole numbers, one wide if these are no more than 60, else 50 from the 0.1th to the 99.9th
    /// percentile, widened to round numbers.
    public static func usualEdges(of quantity: Quantity, _ values: [Double]) -> [Double] {
        let sorted = Sample.finite(values).values.sorted()
        let low = Sample.quantile(0.001, of: sorted), high = Sample.quantile(0.999, of: sorted)
        guard low.isFinite, high.isFinite, low < high || quantity.isInteger else {
            return low.isFinite ? [low - 0.5, low + 0.5] : [0, 1]
        }
        if quantity.isInteger, high - low < 512, abs(low) < 1e15 {
            let edges = Histogram.integerEdges(Int(low.rounded(.down))...Int(high.rounded(.up)))
            // Steps of whole numbers, at most 60 of them.
            let step = max(1, (edges.count + 58) / 60)
            let count = (edges.count + step - 2) / step
            return (0...max(1, count)).map { edges[0] + Double($0 * step) }
        }
        let step = Axis.step((high - low) / 20).size
        return Histogram.edges((low / step).rounded(.down) * step...(high / step).rounded(.up) * step, bins: 50)
    }
}
