import Foundation

/// An axis of a panel.
public struct Axis: Sendable {
    /// What it shows.
    public var label: FigureText
    /// The unit, which goes into brackets behind the label; empty for none.
    public var unit: String
    /// Whether it is logarithmic.
    public var isLogarithmic: Bool
    /// What it shows; nil: all of the data, with some room.
    public var range: ClosedRange<Double>?
    /// Names at 0, 1, 2, ... in place of numbers; empty: numbers.
    public var categories: [FigureText] = []

    /// An axis.
    public init(
        _ label: FigureText, unit: String = "", isLogarithmic: Bool = false, range: ClosedRange<Double>? = nil
    ) {
        self.label = label
        self.unit = unit
        self.isLogarithmic = isLogarithmic
        self.range = range
    }

    /// The axis of an observable.
    public static func of(_ quantity: Quantity, range: ClosedRange<Double>? = nil) -> Axis {
        Axis(FigureText(markup: quantity.symbol), unit: quantity.unit, range: range)
    }

    /// Shares of entries over the width of bins.
    public static func density(of quantity: Quantity, isLogarithmic: Bool = false) -> Axis {
        quantity.isInteger
            ? Axis("fraction of jets", isLogarithmic: isLogarithmic)
            : Axis(
                "normalised", unit: quantity.unit.isEmpty ? "" : "1/\(quantity.unit)", isLogarithmic: isLogarithmic)
    }

    /// Label and unit.
    var title: FigureText {
        unit.isEmpty ? label : FigureText(markup: label.markup + "\u{a0}[" + FigureText(unit).markup + "]")
    }

    /// The range that holds all of some numbers, if none is asked for.
    /// - Parameters:
    ///   - room: How much of the range to leave free above, for a legend.
    ///   - fromZero: Whether a linear axis begins at 0.
    func range(of values: [Double], room: Double = 0.05, fromZero: Bool = false) -> ClosedRange<Double> {
        if let range { return range }
        let shown = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }
        guard let low = shown.min(), let high = shown.max() else { return isLogarithmic ? 0.1...1 : 0...1 }
        guard isLogarithmic else {
            if fromZero, low >= 0 { return 0...(high > 0 ? high * (1 + room) : 1) }
            let width = high > low ? high - low : max(abs(high), 1) * 0.1
            return low - 0.05 * width...high + room * width
        }
        let decades = max(log10(high / low), 0.3)
        return low * pow(10, -0.06 * decades)...high * pow(10, max(room, 0.06) * decades)
    }

    /// Commands for ticks that fit into so many pixels.
    func ticks(_ name: String, _ range: ClosedRange<Double>, pixels: Double, spacing: Double, hidden: Bool) -> [String]
    {
        if !categories.isEmpty {
            let entries = categories.enumerated().map { "\(hidden ? "''" : $1.quoted) \($0)" }
            return ["set \(name)tics nomirror (\(entries.joined(separator: ", ")))", "set m\(name)tics default"]
        }
        let format = hidden ? "set format \(name) ''" : "set format \(name) '%h'"
        let many = max(2, Int(pixels / spacing))
        guard isLogarithmic else {
            let step = Self.step((range.upperBound - range.lowerBound) / Double(many))
            return [format, "set \(name)tics \(Self.text(step.size)) nomirror", "set m\(name)tics \(step.parts)"]
        }
        let low = Int(log10(range.lowerBound).rounded(.down)), high = Int(log10(range.upperBound).rounded(.up))
        let decades = log10(range.upperBound / range.lowerBound)
        // Few decades need numbers between them, many decades cannot all have one.
        let labelled: [Int] =
            decades < 0.8 ? Array(1...9) : decades < 1.4 ? [1, 2, 3, 5] : decades < 2.2 ? [1, 3] : [1]
        let every = max(1, Int((decades / Double(many)).rounded(.up)))
        // Either all numbers are written out or all are powers.
        let asPowers = labelled.count == 1 && (low < -2 || high > 3)
        var entries: [String] = []
        for decade in low...max(low, high) {
            for digit in 1...9 {
                let value = Double(digit) * pow(10, Double(decade))
                guard value >= range.lowerBound * 0.999999, value <= range.upperBound * 1.000001 else { continue }
                let isMajor = labelled.contains(digit) && (digit > 1 || decade % every == 0)
                let text = isMajor && !hidden ? Self.label(digit, decade, asPower: asPowers) : ""
                entries.append("'\(text)' \(Self.text(value)) \(isMajor ? 0 : 1)")
            }
        }
        return ["set \(name)tics nomirror (\(entries.joined(separator: ", ")))"]
    }

    private static func label(_ digit: Int, _ decade: Int, asPower: Bool) -> String {
        if asPower { return "10^{\(decade)}" }
        if (-3...4).contains(decade) { return text(Double(digit) * pow(10, Double(decade))) }
        return digit == 1 ? "10^{\(decade)}" : "\(digit)·10^{\(decade)}"
    }

    /// A step of 1, 2 or 5 times a power of ten, and into how many parts smaller ticks divide it.
    static func step(_ least: Double) -> (size: Double, parts: Int) {
        guard least > 0, least.isFinite else { return (1, 1) }
        let decade = pow(10, log10(least).rounded(.down))
        for (size, parts) in [(1.0, 5), (2, 4), (5, 5)] where size * decade >= least * 0.9999 {
            return (size * decade, parts)
        }
        return (10 * decade, 5)
    }

    /// A number as gnuplot and people read it, the same on every machine.
    static func text(_ value: Double) -> String {
        let text = String(format: "%.10g", value)
        return text.contains("e") || text.contains(".") || abs(value) < 1e9 ? text : String(format: "%.1f", value)
    }
}
