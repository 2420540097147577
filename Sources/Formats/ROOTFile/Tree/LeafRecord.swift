import Support

/// What a tree's record says of a leaf: the values of a branch, or of one member of its entries.
struct LeafRecord: Sendable {
    /// Where the slot begins in the record.
    let slot: Int
    let className: String
    let name: String
    let title: String
    /// The product of the fixed dimensions.
    let length: Int
    let isUnsigned: Bool
    /// The slot of the leaf that counts this one's values.
    let counterSlot: Int?
    /// The member's number and type, of a TLeafElement.
    let elementID: Int
    let elementType: Int

    init(_ slot: ObjectPayload.ObjectSlot, of payload: ObjectPayload) throws(ROOTError) {
        self.slot = slot.position
        className = try payload.className(slot)
        guard className.hasPrefix("TLeaf") else {
            throw ROOTError(.damaged, message: "a leaf of class \(className)", advice: ByteCursor.advice)
        }
        var cursor = try payload.cursor(slot.body)
        // TLeaf's own frame is inside that of what derives from it; a TLeaf alone holds no values.
        if className != "TLeaf" { _ = try cursor.frame() }
        let frame = try cursor.frame()
        (name, title) = try cursor.named(longest: ROOTFile.longestName)
        length = try cursor.nextInt(Int32.self)
        try cursor.skip(9)
        isUnsigned = try cursor.next(UInt8.self) != 0
        switch try payload.slot(&cursor) {
        case .null: counterSlot = nil
        case .reference(let position): counterSlot = position
        case .object(let slot): counterSlot = slot.position
        }
        try cursor.move(to: frame.end)
        let isElement = className == "TLeafElement"
        elementID = isElement ? try cursor.nextInt(Int32.self) : 0
        elementType = isElement ? try cursor.nextInt(Int32.self) : 0
    }

    /// The fixed dimensions: brackets of the title with digits only, else the length.
    ///
    /// Behind a slash stand annotations of packed floats, which have brackets too.
    func shape() throws(ROOTError) -> [Int] {
        let text = title.prefix { $0 != "/" }
        var shape: [Int] = []
        for piece in text.split(separator: "[", omittingEmptySubsequences: false).dropFirst() {
            guard let close = piece.firstIndex(of: "]") else { continue }
            let inside = piece[..<close]
            guard !inside.isEmpty, inside.allSatisfy({ $0.isASCII && $0.isNumber }) else { continue }
            guard let number = Int(inside), number <= Int(Int32.max) else { throw Self.wild(title) }
            shape.append(number)
        }
        if shape.isEmpty, length > 1 { shape = [length] }
        var product = 1
        for dimension in shape {
            let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
            guard !overflow, next <= Int(Int32.max) else { throw Self.wild(title) }
            product = next
        }
        return shape
    }

    private static func wild(_ title: String) -> ROOTError {
        ROOTError(.damaged, message: "the dimensions of '\(title)' are too large", advice: ByteCursor.advice)
    }
}
