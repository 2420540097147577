/// Observables of many jets, one column each.
public struct ObservableTable: Sendable {
    /// The numbers of one observable.
    public struct Column: Sendable {
        /// Which one.
        public let observable: Observable
        /// One a jet; NaN where it is not defined.
        public internal(set) var values: [Double]

        /// Jets for which it is not defined. These are to be left out of histograms and distances, and their number be shown.
        public var undefinedCount: Int { values.count { $0.isNaN } }
        /// The numbers of the other jets.
        public var defined: [Double] { values.filter { !$0.isNaN } }
    }

    /// What was left out, or is not like other jets.
    public struct Counts: Sendable, Equatable, Codable {
        /// Jets without constituents: everything is undefined.
        public var empty = 0
        /// Jets with one or two constituents, which the original leaves out of all substructure.
        public var fewerThanThree = 0
        /// Jets with a momentum that is not finite: everything is undefined.
        public var notFinite = 0

        /// Nothing of all that.
        public init() {}

        static func += (a: inout Counts, b: Counts) {
            a.empty += b.empty
            a.fewerThanThree += b.fewerThanThree
            a.notFinite += b.notFinite
        }
    }

    /// The columns, in the order of `ObservableGroups.observables`.
    public internal(set) var columns: [Column]
    /// The number of each jet in its dataset.
    public internal(set) var jets: [Int] = []
    /// The label of each jet; empty if none were asked for.
    public internal(set) var labels: [Int32] = []
    /// What is not like other jets.
    public internal(set) var counts = Counts()
    /// The constituents of all jets, if they were asked for.
    public internal(set) var constituents: ConstituentTable?

    init(_ observables: [Observable]) { columns = observables.map { Column(observable: $0, values: []) } }

    /// How many jets there are.
    public var rows: Int { jets.count }

    /// The table as CSV: a line of names, then one of numbers for each jet, which read back to the same bits; `nan` where an observable is not
    /// defined.
    public var csv: String {
        var text = (["jet"] + (labels.isEmpty ? [] : ["label"]) + columns.map(\.observable.name)).joined(separator: ",")
        text += "\n"
        for row in 0..<rows {
            text += "\(jets[row])"
            if !labels.isEmpty { text += ",\(labels[row])" }
            for column in columns { text += ",\(column.values[row])" }
            text += "\n"
        }
        return text
    }

    /// A column by the name of its observable.
    public subscript(_ name: String) -> Column? { columns.first { $0.observable.name == name } }
}

/// Constituents of many jets, one jet after the other.
public struct ConstituentTable: Sendable {
    /// A number of each constituent.
    public enum Quantity: String, Sendable, CaseIterable, Codable {
        /// Transverse momentum in GeV.
        case pt
        /// Pseudorapidity.
        case eta
        /// Azimuth in rad, -pi to pi.
        case phi
        /// Pseudorapidity relative to the sum of the jet's constituents.
        case etaRelative = "etarel"
        /// Azimuth relative to that sum, -pi to pi.
        case phiRelative = "phirel"
    }

    /// Where each jet begins, and where the last one ends.
    public internal(set) var offsets = [0]
    /// What each constituent is.
    public internal(set) var types: [ConstituentType] = []
    var numbers: [[Double]] = Quantity.allCases.map { _ in [] }

    /// The numbers of all constituents, or of those of one type.
    public func values(_ quantity: Quantity, of type: ConstituentType? = nil) -> [Double] {
        let all = numbers[Quantity.allCases.firstIndex(of: quantity) ?? 0]
        guard let type else { return all }
        return zip(all, types).filter { $0.1 == type }.map(\.0)
    }

    /// Constituents of one type in each jet.
    public func count(of type: ConstituentType) -> [Int] {
        zip(offsets, offsets.dropFirst()).map { from, to in types[from..<to].count { $0 == type } }
    }

    mutating func append(_ other: ConstituentTable) {
        let base = offsets.last ?? 0
        offsets += other.offsets.dropFirst().map { $0 + base }
        types += other.types
        for index in numbers.indices { numbers[index] += other.numbers[index] }
    }
}
