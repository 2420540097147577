import CHDF5

/// A filter of a dataset's pipeline.
public struct HDF5Filter: Hashable, Sendable {
    /// The registered number: 1 deflate, 2 shuffle, 3 Fletcher-32, 4 szip, 32000 LZF, ...
    public var id: Int
    /// The name that the file or the library gives it; may be empty.
    public var name: String
    /// The parameters stored in the file: deflate has its level, shuffle the size of an element.
    public var parameters: [UInt32]

    static let deflate = 1
    static let shuffle = 2
    static let fletcher32 = 3
    static let lzf = 32000
}

/// What a file says of one of its datasets.
public struct HDF5DatasetInfo: Sendable {
    /// How the bytes lie in the file.
    public enum Layout: Sendable {
        case compact, contiguous, chunked, virtual
    }

    /// The full path, without a leading slash.
    public var path: String
    /// Elements along each axis; empty for a scalar.
    public var shape: [Int]
    /// The largest shape; nil along an axis without limit.
    public var maxShape: [Int?]
    /// The type of the elements.
    public var element: HDF5Element
    /// The order of their bytes.
    public var byteOrder: HDF5Element.ByteOrder
    /// How the bytes lie in the file.
    public var layout: Layout
    /// Elements of a chunk along each axis; nil if the dataset is not chunked.
    public var chunkShape: [Int]?
    /// The filters in the order in which a writer applies them.
    public var filters: [HDF5Filter]
    /// Bytes that the elements take in the file.
    public var storedBytes: Int
    /// Chunks that exist in the file; nil if the dataset is not chunked.
    public var chunkCount: Int?
    /// Bytes of all elements; nil for types that are not read, or if the number is absurd.
    public var byteCount: Int? {
        guard let size = element.byteCount else { return nil }
        return shape.product(times: size)
    }

    /// Everything about an open dataset. Call under the library's lock.
    /// `counting` asks for stored bytes and chunks, which walks the chunk index.
    init(_ dataset: Handle, path: String, file: String, counting: Bool) throws(HDF5Error) {
        func failure(_ what: String) -> HDF5Error {
            HDF5Error(.library, file: file, place: path, message: "cannot read \(what): \(HDF5Library.errorText())")
        }
        self.path = path
        guard let type = Handle(H5Dget_type(dataset.id)) else { throw failure("the element type") }
        (element, byteOrder) = HDF5Element.of(type.id)
        guard let space = Handle(H5Dget_space(dataset.id)) else { throw failure("the shape") }
        let rank = Int(H5Sget_simple_extent_ndims(space.id))
        guard rank >= 0, rank <= Int(H5S_MAX_RANK) else { throw failure("the shape") }
        var dims = [hsize_t](repeating: 0, count: rank)
        var most = dims
        guard H5Sget_simple_extent_dims(space.id, &dims, &most) >= 0 else { throw failure("the shape") }
        var shape: [Int] = []
        for dim in dims {
            guard let length = Int(exactly: dim) else {
                throw HDF5Error(.damaged, file: file, place: path, message: "an axis has length \(dim)")
            }
            shape.append(length)
        }
        self.shape = shape
        maxShape = most.map { $0 == pando_H5S_UNLIMITED() ? nil : Int(exactly: $0) }

        guard let plist = Handle(H5Dget_create_plist(dataset.id)) else { throw failure("the creation properties") }
        chunkShape = nil
        switch H5Pget_layout(plist.id) {
        case H5D_COMPACT: layout = .compact
        case H5D_CONTIGUOUS: layout = .contiguous
        case H5D_VIRTUAL: layout = .virtual
        case H5D_CHUNKED:
            layout = .chunked
            var chunk = [hsize_t](repeating: 0, count: rank)
            guard Int(H5Pget_chunk(plist.id, Int32(rank), &chunk)) == rank else { throw failure("the chunk shape") }
            var lengths: [Int] = []
            for length in chunk {
                // libhdf5 limits them to 32 bits.
                guard let number = Int32(exactly: length), number > 0 else {
                    throw HDF5Error(.damaged, file: file, place: path, message: "a chunk has length \(length)")
                }
                lengths.append(Int(number))
            }
            chunkShape = lengths
        default: throw failure("the layout")
        }
        filters = try Self.filters(of: plist, failure)
        storedBytes = 0
        chunkCount = nil
        if counting {
            storedBytes = Int(clamping: H5Dget_storage_size(dataset.id))
            if layout == .chunked {
                guard let count = HDF5Library.chunkCount(of: dataset) else { throw failure("the number of chunks") }
                chunkCount = count
            }
        }
    }

    private static func filters(
        of plist: Handle, _ failure: (String) -> HDF5Error
    ) throws(HDF5Error) -> [HDF5Filter] {
        let count = H5Pget_nfilters(plist.id)
        guard count >= 0 else { throw failure("the filters") }
        var filters: [HDF5Filter] = []
        for index in 0..<UInt32(count) {
            var flags: UInt32 = 0
            var valueCount = 32
            var values = [UInt32](repeating: 0, count: valueCount)
            var name = [CChar](repeating: 0, count: 128)
            var config: UInt32 = 0
            let id = H5Pget_filter2(plist.id, index, &flags, &valueCount, &values, name.count, &name, &config)
            guard id >= 0 else { throw failure("filter \(index)") }
            filters.append(
                HDF5Filter(
                    id: Int(id), name: String(cBytes: name), parameters: Array(values.prefix(min(32, valueCount)))))
        }
        return filters
    }
}

extension String {
    /// The text up to the first NUL.
    init(cBytes: [CChar]) {
        self = String(decoding: cBytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension Sequence<Int> {
    /// The product of all numbers and `first`; nil if it does not fit or a number is negative.
    func product(times first: Int = 1) -> Int? {
        var product = first
        var isZero = false
        for factor in self {
            guard factor >= 0 else { return nil }
            // A zero makes everything zero, whatever overflows beside it.
            if factor == 0 {
                isZero = true
                continue
            }
            let (next, overflow) = product.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            product = next
        }
        return isZero ? 0 : product
    }
}

extension Int {
    /// The least number of pieces of `size` that cover this many.
    func pieces(of size: Int) -> Int {
        self / size + (self % size == 0 ? 0 : 1)
    }
}
