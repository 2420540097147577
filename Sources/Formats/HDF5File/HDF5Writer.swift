import CHDF5
import Kernels
import Support

/// What a dataset to be written looks like.
public struct HDF5DatasetPlan: Sendable {
    /// The path; groups on the way are made.
    public var path: String
    /// The type of the elements; little-endian in the file.
    public var element: HDF5Element
    /// Elements along each axis. If the first axis may grow, 0 rows are a good begin.
    public var shape: [Int]
    /// The largest shape; nil along an axis without limit. Nil altogether: `shape`.
    public var maxShape: [Int?]?
    /// Elements of a chunk along each axis; nil for contiguous elements, which can neither grow nor be filtered.
    public var chunkShape: [Int]?
    /// The level of deflate, 0 to 9; nil for none.
    public var deflateLevel: Int?
    /// Whether bytes are sorted into planes before they are deflated.
    public var shuffle: Bool
    /// Whether each chunk carries a checksum.
    public var fletcher32: Bool

    /// A plan from its parts.
    public init(
        path: String, element: HDF5Element, shape: [Int], maxShape: [Int?]? = nil, chunkShape: [Int]? = nil,
        deflateLevel: Int? = nil, shuffle: Bool = false, fletcher32: Bool = false
    ) {
        self.path = path
        self.element = element
        self.shape = shape
        self.maxShape = maxShape
        self.chunkShape = chunkShape
        self.deflateLevel = deflateLevel
        self.shuffle = shuffle
        self.fletcher32 = fletcher32
    }
}

/// Writes an HDF5 file as h5py writes it by default: superblock 0, no time stamps.
///
/// Not Sendable: one thread owns it. After an error the file is not usable: drop the writer and remove the file.
public final class HDF5Writer {
    /// The path as the user gave it.
    public let path: String
    private var handle: Handle?
    private var datasets: [String: Open] = [:]

    private struct Open {
        let handle: Handle
        let plan: HDF5DatasetPlan
        var rows: Int
        let elementBytes: Int
        /// Bytes of a row.
        let rowBytes: Int
    }

    /// Creates a file; one that exists is replaced.
    /// - Throws: `HDF5Error` if it cannot be created.
    public init(path: String) throws(HDF5Error) {
        self.path = path
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        let handle = Handle(H5Fcreate(path, pando_H5F_ACC_TRUNC(), pando_H5P_DEFAULT(), pando_H5P_DEFAULT()))
        guard let handle else {
            throw HDF5Error(.library, file: path, message: "cannot be created: \(HDF5Library.errorText())")
        }
        self.handle = handle
    }

    /// Creates a dataset, empty or full of zeros.
    /// - Throws: `HDF5Error`; `usage` for a plan that makes no sense.
    public func create(_ plan: HDF5DatasetPlan) throws(HDF5Error) {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        guard let handle else { throw usage(plan.path, "the file is closed") }
        let limits = plan.maxShape ?? plan.shape
        guard let size = plan.element.byteCount, let type = plan.element.littleEndianType, !plan.shape.isEmpty,
            limits.count == plan.shape.count, plan.chunkShape?.count ?? plan.shape.count == plan.shape.count,
            plan.shape.allSatisfy({ $0 >= 0 }), plan.chunkShape?.allSatisfy({ $0 > 0 }) ?? true,
            let rowBytes = plan.shape.dropFirst().product(times: size)
        else { throw usage(plan.path, "the plan of the dataset makes no sense") }
        let shape = plan.shape.map { hsize_t($0) }
        let most = limits.map { $0.map { hsize_t(clamping: $0) } ?? pando_H5S_UNLIMITED() }
        guard let space = Handle(H5Screate_simple(Int32(shape.count), shape, most)),
            let links = Handle(H5Pcreate(pando_H5P_LINK_CREATE())),
            H5Pset_create_intermediate_group(links.id, 1) >= 0,
            let creation = Handle(H5Pcreate(pando_H5P_DATASET_CREATE())),
            let access = Handle(H5Pcreate(pando_H5P_DATASET_ACCESS())),
            // C's default is to write the time, which makes files differ from run to run.
            H5Pset_obj_track_times(creation.id, false) >= 0
        else { throw failure(plan.path) }
        if let chunk = plan.chunkShape {
            guard H5Pset_chunk(creation.id, Int32(chunk.count), chunk.map { hsize_t($0) }) >= 0,
                !plan.shuffle || H5Pset_shuffle(creation.id) >= 0,
                plan.deflateLevel.map({ H5Pset_deflate(creation.id, UInt32(clamping: $0)) >= 0 }) ?? true,
                !plan.fletcher32 || H5Pset_fletcher32(creation.id) >= 0
            else { throw failure(plan.path) }
            // A cache for one row of chunks: writes that end inside a chunk do not deflate it twice.
            let band = [rowBytes, chunk[0]].product() ?? .max
            H5Pset_chunk_cache(access.id, 12_421, max(1 << 20, min(band + band / 4, 128 << 20)), 1)
        }
        guard
            let dataset = Handle(
                H5Dcreate2(handle.id, plan.path, type, space.id, links.id, creation.id, access.id))
        else { throw failure(plan.path) }
        datasets[plan.path] = Open(
            handle: dataset, plan: plan, rows: plan.shape[0], elementBytes: size, rowBytes: rowBytes)
    }

    /// Writes rows as one row-major block of little-endian elements; a dataset that may grow, grows to hold them.
    /// - Throws: `HDF5Error`; `usage` if the bytes are not those of so many rows.
    public func write(
        _ bytes: UnsafeRawBufferPointer, rows: Range<Int>, to dataset: String
    ) throws(HDF5Error) {
        guard var open = datasets[dataset], handle != nil else { throw usage(dataset, "no dataset to write to") }
        guard rows.lowerBound >= 0, [rows.count, open.rowBytes].product() == bytes.count else {
            throw usage(dataset, "\(bytes.count) bytes are not rows \(rows)")
        }
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        var shape = open.plan.shape.map { hsize_t($0) }
        if rows.upperBound > open.rows {
            shape[0] = hsize_t(rows.upperBound)
            guard H5Dset_extent(open.handle.id, shape) >= 0 else { throw failure(dataset) }
            open.rows = rows.upperBound
            datasets[dataset] = open
        }
        guard !bytes.isEmpty, let base = bytes.baseAddress else { return }
        var start = [hsize_t](repeating: 0, count: shape.count)
        start[0] = hsize_t(rows.lowerBound)
        shape[0] = hsize_t(rows.count)
        guard let type = open.plan.element.littleEndianType, let space = Handle(H5Dget_space(open.handle.id)),
            let memory = Handle(H5Screate_simple(Int32(shape.count), shape, nil)),
            H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, shape, nil) >= 0,
            H5Dwrite(open.handle.id, type, memory.id, space.id, pando_H5P_DEFAULT(), base) >= 0
        else { throw failure(dataset) }
    }

    /// Writes rows of a dataset of shape [rows, slots] or [rows, slots, columns] from packed columns: row i takes
    /// `counts[i]` elements of each, and zeros behind them.
    /// - Throws: `HDF5Error`; `usage` if a count is larger than the slots or a column is too short.
    public func writePadded(
        counts: UnsafeBufferPointer<UInt32>, columns: [UnsafeRawBufferPointer], rows: Range<Int>, to dataset: String
    ) throws(HDF5Error) {
        guard let open = datasets[dataset] else { throw usage(dataset, "no dataset to write to") }
        let shape = open.plan.shape
        let width = shape.count == 3 ? shape[2] : 1
        guard shape.count == 2 || shape.count == 3, columns.count == width, counts.count == rows.count else {
            throw usage(dataset, "\(columns.count) columns, \(counts.count) counts for rows \(rows) of \(shape)")
        }
        var total = 0
        for count in counts {
            guard Int(count) <= shape[1] else { throw usage(dataset, "\(count) elements for \(shape[1]) slots") }
            total += Int(count)
        }
        for column in columns where column.count < total * open.elementBytes {
            throw usage(dataset, "\(column.count) bytes for \(total) elements")
        }
        // Whole rows of chunks where they are small, otherwise pieces: the library's cache joins them.
        let chunkRows = open.plan.chunkShape?[0] ?? 256
        let fitting = max(1, (8 << 20) / max(1, open.rowBytes))
        let step = fitting >= chunkRows ? fitting / chunkRows * chunkRows : fitting
        let block = AlignedBuffer()
        var sources = columns.map(\.baseAddress)
        var first = rows.lowerBound
        while first < rows.upperBound {
            // Pieces end at multiples of the step, so that one that begins inside a chunk ends with it.
            let end = min(rows.upperBound, (first / step + 1) * step)
            let bytes = (end - first) * open.rowBytes
            block.reserve(bytes)
            block.base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            for (index, source) in sources.enumerated() {
                guard let source else { continue }
                sources[index] = pando_hdf5_spread(
                    block.base + index * open.elementBytes, open.rowBytes, width * open.elementBytes,
                    counts.baseAddress.map { $0 + (first - rows.lowerBound) }, end - first, open.elementBytes, source)
            }
            try write(block.bytes(bytes), rows: first..<end, to: dataset)
            first = end
        }
    }

    /// Writes what is still in memory and closes the file.
    /// - Throws: `HDF5Error`, on a full disk for example.
    public func close() throws(HDF5Error) {
        HDF5Library.enter()
        defer { HDF5Library.leave() }
        guard let handle else { return }
        guard H5Fflush(handle.id, H5F_SCOPE_GLOBAL) >= 0 else { throw failure("") }
        datasets = [:]
        self.handle = nil
    }

    private func usage(_ place: String, _ message: String) -> HDF5Error {
        HDF5Error(.usage, file: path, place: place, message: message)
    }

    private func failure(_ place: String) -> HDF5Error {
        HDF5Error(
            .library, file: path, place: place, message: "cannot be written: \(HDF5Library.errorText())",
            advice: "check the space on the disk; the unfinished file is of no use")
    }
}
