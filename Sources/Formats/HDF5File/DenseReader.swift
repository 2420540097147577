import Kernels

/// Reads rows of a dataset of shape [rows] or [rows, columns] into one buffer per column.
///
/// Threads may share a reader; each brings its own scratch.
public final class DenseReader: Sendable {
    /// The dataset.
    public let info: HDF5DatasetInfo
    /// Rows.
    public let rows: Int
    /// Columns; 1 for a dataset of one axis.
    public let columns: Int
    /// Rows of a chunk: ranges that begin and end at multiples of it are read without inflating a chunk twice.
    public let bandRows: Int
    /// Bytes of one element.
    public let elementBytes: Int
    private let source: TileSource

    /// A reader for a dataset.
    /// - Throws: `HDF5Error`: `unsupported` for other shapes and types, `unavailableFilter`, `damaged`.
    public init(_ dataset: HDF5Dataset, method: HDF5ReadMethod = .fastest) throws(HDF5Error) {
        info = dataset.info
        guard info.shape.count == 1 || info.shape.count == 2, info.shape.dropFirst().allSatisfy({ $0 <= 1 << 20 })
        else {
            throw HDF5Error(
                .unsupported, file: dataset.file.path, place: info.path,
                message: "shape \(info.shape) is not [rows] or [rows, columns] with at most \(1 << 20) columns")
        }
        source = try dataset.source(method)
        rows = info.shape[0]
        columns = info.shape.count == 1 ? 1 : info.shape[1]
        bandRows = source.tileShape[0]
        elementBytes = source.elementBytes
    }

    /// Reads rows; column j goes, little-endian and packed, to `targets[j]`, which has room for `range.count` elements.
    /// - Throws: `HDF5Error`; `usage` if rows or targets do not fit, `damaged` with the chunk's place.
    public func read(
        rows range: Range<Int>, into targets: [UnsafeMutableRawPointer], scratch: HDF5Scratch
    ) throws(HDF5Error) {
        guard range.lowerBound >= 0, range.upperBound <= rows, targets.count == columns else {
            throw HDF5Error(
                .usage, file: source.file.path, place: info.path,
                message: "rows \(range) and \(targets.count) columns of [\(rows), \(columns)]")
        }
        guard !range.isEmpty else { return }
        let chunkColumns = source.tileShape.count == 1 ? 1 : source.tileShape[1]
        for band in range.lowerBound / bandRows...(range.upperBound - 1) / bandRows {
            let inside = (band * bandRows..<min(rows, band * bandRows + bandRows)).clamped(to: range)
            for block in 0..<(source.grid.count == 1 ? 1 : source.grid[1]) {
                let tile = try source.tile(source.grid.count == 1 ? [band] : [band, block], scratch)
                for column in block * chunkColumns..<min(columns, (block + 1) * chunkColumns) {
                    let target = targets[column] + (inside.lowerBound - range.lowerBound) * elementBytes
                    guard let tile else {
                        target.initializeMemory(as: UInt8.self, repeating: 0, count: inside.count * elementBytes)
                        continue
                    }
                    let first = (inside.lowerBound - band * bandRows) * chunkColumns + column - block * chunkColumns
                    pando_hdf5_pick(
                        target, tile + first * elementBytes, inside.count, chunkColumns * elementBytes, elementBytes)
                }
            }
        }
    }
}
