import Shards
import Support

/// Makes labels, features of jets and tokens out of decoded rows of a dataset. Not Sendable: one thread owns it.
final class ExtraMaker {
    private let part: DatasetPart
    private let extras: ExtraSelection
    /// Where the columns of labels or of features of jets lie.
    private let columns: UnsafeMutableBufferPointer<JetColumn>

    init(part: DatasetPart) {
        self.part = part
        extras = part.selection.extras
        columns = .allocate(capacity: max(1, extras.labels.count, extras.jetFeatures.count))
    }

    deinit {
        columns.deallocate()
    }

    /// Writes them to a batch that has room for them, row i to row `slots[i]`; nil: in the same order.
    /// - Throws: `LoaderError` with code `data` for a code outside the codebook, with its jet.
    func write(
        _ decoded: JetColumns, _ stored: StoredJets, slots: UnsafePointer<Int32>?, into batch: Batch
    ) throws(LoaderError) {
        let rows = stored.rows
        if !extras.labels.isEmpty { writeLabels(decoded, rows, slots, into: batch) }
        if let field = extras.labelColumn {
            let labels = batch.labelNumbers.base.assumingMemoryBound(to: Int32.self)
            let column = JetColumn(UnsafeRawPointer(decoded.fields[field].base), type: decoded.elementType(of: field))
            for row in 0..<rows {
                labels[slots.map { Int($0[row]) } ?? row] = column.integer(at: row).flatMap(Int32.init(exactly:)) ?? -1
            }
        }
        if !extras.jetFeatures.isEmpty, let assembler = part.selection.features?.assembler {
            try assembler.assembleJets(
                find(extras.jetFeatures, in: decoded), rows: rows, slots: slots,
                values: batch.jetValues.base.assumingMemoryBound(to: Float.self))
        }
        if let tokens = extras.tokens { try write(tokens, decoded, stored, slots, into: batch) }
    }

    private func find(_ fields: [Int], in decoded: JetColumns) -> UnsafeBufferPointer<JetColumn> {
        for (index, field) in fields.enumerated() {
            columns.initializeElement(
                at: index,
                to: JetColumn(UnsafeRawPointer(decoded.fields[field].base), type: decoded.elementType(of: field)))
        }
        return UnsafeBufferPointer(rebasing: columns.prefix(fields.count))
    }

    private func writeLabels(
        _ decoded: JetColumns, _ rows: Int, _ slots: UnsafePointer<Int32>?, into batch: Batch
    ) {
        let labels = batch.labelNumbers.base.assumingMemoryBound(to: Int32.self)
        for row in 0..<rows { labels[slots.map { Int($0[row]) } ?? row] = -1 }
        // From the last class on: what is written last is the first that is not zero.
        for (index, column) in find(extras.labels, in: decoded).enumerated().reversed() {
            column.forEachNonzero(in: 0..<rows) { row in
                labels[slots.map { Int($0[row]) } ?? row] = Int32(truncatingIfNeeded: index)
            }
        }
    }

    private func write(
        _ tokens: ExtraSelection.Tokens, _ decoded: JetColumns, _ stored: StoredJets, _ slots: UnsafePointer<Int32>?,
        into batch: Batch
    ) throws(LoaderError) {
        guard let offsets = UnsafePointer(stored.offsetNumbers.baseAddress) else { return }
        let base = decoded.fields[tokens.field].base
        let codes: TokenColumn
        switch decoded.elementType(of: tokens.field) {
        case .uint16: codes = .uint16(base.assumingMemoryBound(to: UInt16.self))
        case .int32: codes = .int32(base.assumingMemoryBound(to: Int32.self))
        default: codes = .int16(base.assumingMemoryBound(to: Int16.self))
        }
        do throws(LoaderError) {
            try tokens.pairs.assemble(
                codes, rows: stored.rows, offsets: offsets, slots: slots,
                input: batch.tokenInputs.base.assumingMemoryBound(to: Int32.self),
                target: batch.tokenTargets.base.assumingMemoryBound(to: Int32.self),
                mask: batch.tokenFlags.base.assumingMemoryBound(to: UInt8.self))
        } catch {
            // Its row is one of the rows of this dataset in this batch, which is no use to anybody.
            var error = error
            error.file = part.dataset.directory
            let valid = 0..<tokens.pairs.codebookSize
            let row = (0..<stored.rows).first { row in
                !(Int(offsets[row])..<Int(offsets[row + 1])).allSatisfy { valid.contains(codes[$0]) }
            }
            if let row {
                let jet = batch.jets[slots.map { Int($0[row]) } ?? row]
                error.place = "column \(part.selection.encoding.fields[tokens.field].name) of jet \(jet)"
            }
            throw error
        }
    }
}
