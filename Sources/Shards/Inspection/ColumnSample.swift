import ArrowIPC

/// Numbers of some columns from a few record batches that are spread over the whole.
public struct ColumnSample {
    /// The most record batches that are opened.
    public static let batches = 8
    /// About how many rows are looked at.
    public static let rowGoal = 8192

    /// Rows that were looked at.
    public private(set) var rows = 0
    /// Record batches that were opened.
    public private(set) var batchCount = 0
    /// What could not be read.
    public private(set) var problems: [String] = []
    private var values: [String: [Double]] = [:]

    /// Samples columns.
    /// - Parameters:
    ///   - columns: Their names.
    ///   - batchCount: How many record batches there are.
    ///   - read: Reads one.
    init(of columns: Set<String>, batchCount: Int, read: (Int) throws -> RecordBatch) {
        let opened = min(Self.batches, batchCount)
        guard opened > 0 else { return }
        let decoder = BodyDecoder()
        for part in 0..<opened {
            do {
                // The middle of each part: the last batch, often a short one, counts only when there are few.
                let batch = try read((2 * part + 1) * batchCount / (2 * opened))
                self.batchCount += 1
                // A batch without columns may claim any number of rows.
                let taken = batch.schema.fields.isEmpty ? 0 : min(batch.rowCount, Self.rowGoal / opened)
                rows += taken
                for (index, field) in batch.schema.fields.enumerated() where columns.contains(field.name) {
                    if case .unsupported = field.type { continue }
                    let cells = try ColumnCells(batch, column: index, using: decoder)
                    values[field.name, default: []] += cells.numbers(ofRows: 0..<taken)
                }
            } catch {
                problems.append("\(error)")
            }
        }
    }

    /// The values of a column times `scale`.
    public func numbers(_ column: String, scale: Double = 1) -> [Double] {
        let stored = values[column] ?? []
        return scale == 1 ? stored : stored.map { $0 * scale }
    }

    /// A histogram of a column's values times `scale`; nil if there are none.
    public func histogram(_ column: String, scale: Double = 1) -> Histogram? {
        let numbers = numbers(column, scale: scale)
        return numbers.isEmpty ? nil : Histogram(numbers)
    }
}

extension ColumnEntry {
    /// `scale` as a number; 1 if it is absent or cannot be read.
    public var factor: Double {
        guard let parts = scale?.split(separator: "/", omittingEmptySubsequences: false).map({ Double($0) }),
            let first = parts.first, let numerator = first
        else { return 1 }
        guard parts.count == 2, let denominator = parts[1], denominator != 0 else { return numerator }
        return numerator / denominator
    }
}
